"""What the words of a short text say: whether it only asks for news, and its language."""

import re

_LONGEST = 200
_WORDS = 30
_CLAUSE = re.compile(r"[.!?…,:;\n()–—]+|\s-+\s")
_WORD = re.compile(r"[\w'’+#№-]+")
_NUMBER = re.compile(r"[#№]?(?:[a-zа-я]{1,10}-)?\d{1,12}(?:-?[йяе])?\Z")

# Beginnings of the words that ask for news; `=` marks a whole word.
_ASKING = tuple(
    """
    =news update =status =eta progress =waiting =bump =ping =up =+1 feedback =response =reply =answer =luck
    =thoughts =anybody =anyone =latest following
    новост обновлени статус прогресс подвижк изменени результат ответ слышно жду ждем ждать ожида напомина
    напомню актуал =ап =апну =апаю =пинг поднима =ау =алло сдвиг продвига движени =реакции
    жаңалық жауап =қашан күт
    """.split()  # noqa: SIM905 - a table of words reads better than a list of literals
)
_PHRASES = (
    "ну что",
    "что там",
    "как там",
    "как дела",
    "как успехи",
    "что с моей",
    "что с моим",
    "что по моей",
    "что по моему",
    "когда решите",
    "когда почините",
    "когда исправите",
    "когда будет готово",
    "когда будет решен",
    "когда уже",
    "долго еще",
    "сколько еще",
    "how is it going",
    "how's it going",
    "how are things",
    "what's happening",
    "what is happening",
    "anything new",
    "when will this be fixed",
    "when will it be fixed",
    "any word",
    "checking in",
    "still there",
    "не жаңалық",
)

# Words that may stand around: greetings, function words, names for the matter itself. `*` marks a beginning.
_AROUND_EN = """
    hi hello hey dear good morning day afternoon evening team all guys folks everyone there sir
    madam support please pls thanks thank thx regards sorry so just again and well ok any some is
    are was the a an i i'm im am we we're you it its it's this that these my our your me us on about
    regarding re for with from of in at to by do does did have has had got get hear can could would
    will should may be been still yet soon today now far here ticket* request* issue* case* problem*
    question* order* matter inquiry email* mail* message* previous last below above what what's
    whats when how how's going coming along happening give send provide checking chasing circling
    back days weeks week hours hour since ago already expect new anything something not no one fixed
    resolved solved ready side end progressing looking forward kindly let know if
"""
_AROUND_RU = """
    здравствуй* привет* добр* день дня вечер* утро утра времени суток доброго коллеги ребята друзья
    уважаем* поддержка господа пожалуйста пжл спасибо заранее подскажите скажите сообщите напишите
    извините простите ну и а но так же ж что чего че чё шо как там тут у вас нас с со по о об на от
    до в во за из к мое мой моя мои моей моему моим мою моего моих наш* мне нам меня я мы ты вы вам
    это эта этот этой этому этого эту заявк* вопрос* обращени* запрос* тикет* проблем* письм*
    сообщени* задач* дел* делу заказ* оплат* тем* есть ли или ль какие какой какая какое кака*
    каков* нибудь либо то-нибудь какие-нибудь какие-либо какие-то какая-то какая-нибудь свое* своем
    своём что-нибудь что-то то хоть будет будут был* появил* имеются нет еще ещё все всё опять снова
    раз уже скоро когда долго сих пор день дней недел* час* сутки месяц* сколько прошло прошла
    прошел прошёл момента нового новое новые новая можно ли готово решен* решит* решил* почин*
    исправ* сделаете получу получим информац* очень просто ваш* предыдущ* прошл* насчет насчёт моём
    моем второй третий поддержке третьи вторые никто никакой никаких не
"""
_AROUND_KK = """
    сәлем* сәлеметсіз рахмет бар ма бе болды қандай менің өтінім* бойынша сұрақ* жоқ әлі
"""
_AROUND = (_AROUND_EN + _AROUND_RU + _AROUND_KK).split()
_KNOWN = frozenset(each for each in _AROUND if not each.endswith("*"))
_KNOWN_STARTS = tuple(each[:-1] for each in _AROUND if each.endswith("*"))

_KAZAKH = frozenset("әғқңөұүһі")


def is_nudge(text: str) -> bool:
    """A short text that asks for news and says nothing else: every word of it is known to carry no matter.

    A name may be greeted; one unknown word in small letters makes it a message of its own."""
    if len(text) > _LONGEST or len(text.split()) > _WORDS:
        return False
    clauses = [_WORD.findall(each.replace("’", "'")) for each in _CLAUSE.split(text)]
    spoken = [words for words in clauses if words]
    return all(map(_carries_nothing, spoken)) and any(map(_asks, spoken))


def _carries_nothing(words: list[str]) -> bool:
    unknown = [word for word in words if not _is_known(word.lower())]
    return len(unknown) <= 2 and all(word[0].isupper() and not word.isupper() for word in unknown)


def _is_known(word: str) -> bool:
    return (
        word in _KNOWN
        or word.startswith(_KNOWN_STARTS)
        or _is_asking(word)
        or bool(_NUMBER.match(word.lower()))
    )


def _is_asking(word: str) -> bool:
    return any(word == each[1:] if each[0] == "=" else word.startswith(each) for each in _ASKING)


def _asks(words: list[str]) -> bool:
    lower = [word.lower().replace("ё", "е") for word in words]
    joined = f" {' '.join(lower)} "
    return any(map(_is_asking, lower)) or any(f" {phrase} " in joined for phrase in _PHRASES)


def language_of(text: str) -> str:
    """`ru`, `kk` or `en` by the letters, "" when there are too few or they are of another script."""
    words = (each for each in text[:20_000].lower().split() if "@" not in each and "://" not in each)
    letters = [each for each in "".join(words) if each.isalpha()]
    cyrillic = sum("\u0400" <= each <= "\u04ff" for each in letters)
    latin = sum(each.isascii() for each in letters)
    if len(letters) < 2 or (cyrillic + latin) * 2 < len(letters):
        return ""
    if cyrillic * 2 < latin:
        return "en"
    kazakh = sum(each in _KAZAKH for each in letters)
    return "kk" if kazakh * 25 > cyrillic and len(_KAZAKH & set(letters)) >= 2 else "ru"
