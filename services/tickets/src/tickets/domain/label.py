"""What people read, in the languages of the desk."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Label:
    """Words in Russian and English; where one is empty the other is shown."""

    ru: str = ""
    en: str = ""

    def __getitem__(self, language: str) -> str:
        """The words in a language; English ones unless it is Russian."""
        return (self.ru or self.en) if language == "ru" else (self.en or self.ru)
