"""Articles as files: read with the line of each fault, written so that reading gives them back."""

import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tickdesk.tickets.v1 import knowledge_pb2 as pb
from tickdesk_cli import articlefiles
from tickdesk_cli.terminal import Problem

STARTER = Path(__file__).parents[3] / "examples" / "knowledge"
HEAD = "---\ntitle: T\nkind: faq\nlanguage: en\nowner: anna\n"


def test_the_starter_has_ten_articles_in_each_language_and_every_kind() -> None:
    """CA-29: start with 20."""
    files = articlefiles.read_folder(STARTER)
    languages = [each.content.language for each in files]
    assert (languages.count("ru"), languages.count("en")) == (10, 10)
    assert {each.content.kind for each in files} == set(pb.ArticleKind.values()[1:])
    assert all(each.state == pb.ARTICLE_STATE_PUBLISHED and each.content.review_date for each in files)


def test_what_is_written_is_what_was_read() -> None:
    for file in articlefiles.read_folder(STARTER):
        article = pb.Article(key=file.key, state=file.state, content=file.content)  # type: ignore[arg-type]
        assert articlefiles.write_file(article) == file.path.read_text(encoding="utf-8")


LINE = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=40)
BODY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=200)


@settings(deadline=None)
@example(title="? a: b #c", tags=["?~j", "- a", "yes", "1"], body="")
@given(title=LINE, tags=st.lists(LINE, max_size=5, unique=True), body=BODY)
def test_any_words_survive_the_file(
    tmp_path_factory: pytest.TempPathFactory, title: str, tags: list[str], body: str
) -> None:
    content = pb.ArticleContent(
        kind=pb.ARTICLE_KIND_FAQ,
        language="en",
        title=title,
        owner="anna",
        tags=tags,
        body=body,
        visibility=pb.ARTICLE_VISIBILITY_INTERNAL,
    )
    path = tmp_path_factory.getbasetemp() / "some-key.md"
    written = articlefiles.write_file(pb.Article(state=pb.ARTICLE_STATE_DRAFT, content=content))
    path.write_text(written, encoding="utf-8", newline="")
    assert articlefiles.read_file(path).content == content


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Hello", "1: must begin with front matter"),
        (HEAD, "1: the front matter does not end"),
        ("---\n- a\n---\n", "2: the front matter must be lines"),
        ("---\ntitle: [\n---\n", "expected the node content"),
        ("---\ntitle: T\ntitle: U\n---\n", "3: "),
        (f"{HEAD}kind_of: x\n---\n", "6: kind_of: Extra inputs are not permitted"),
        (f"{HEAD.replace('faq', 'poem')}---\n", "3: kind: Input should be 'faq'"),
        (f"{HEAD.replace('anna', '[a]')}---\n", "5: owner: "),
        (f"{HEAD.replace('title: T', 'name: T')}---\n", "1: title: Field required"),
        (f"{HEAD}review_date: soon\n---\n", "6: review_date: "),
        (f"{HEAD}review_date: 2027-02-30\n---\n", ": "),
        (f"{HEAD}tags: [a, a]\n---\n", "6: repeated value must contain unique items"),
        (f"{HEAD}queues: [sup]\n---\n", "6: does not match regex pattern"),
        (f"{HEAD}---\n{'x' * 100_001}", "some-key.md: "),
        (f"{HEAD}visibility: !!python/object:os.system x\n---\n", ": "),
    ],
)
def test_each_fault_is_told_with_file_and_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "some-key.md"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Problem) as problem:
        articlefiles.read_folder(tmp_path)
    assert problem.value.code == 2
    assert str(problem.value).startswith(str(path))
    assert told in str(problem.value)


def test_bytes_that_are_no_text_and_odd_names_are_told(tmp_path: Path) -> None:
    (tmp_path / "latin-one.md").write_bytes(f"{HEAD}---\ncaf\xe9".encode("latin-1"))
    (tmp_path / "Odd Name.md").write_text(f"{HEAD}---\n")
    (tmp_path / "README.md").write_text("About this folder.")
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same-key.md").write_text(f"{HEAD}---\nx")
    with pytest.raises(Problem) as problem:
        articlefiles.read_folder(tmp_path)
    assert [line.removeprefix(f"{tmp_path}/").split(": ")[0] for line in str(problem.value).splitlines()] == [
        "Odd Name.md",
        "latin-one.md:7",
        "b/same-key.md",
    ]


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n" for before, after in pairwise("abcdefghij")
)
"""Nine to the power of ten words, were they written out."""


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (f"title: {'[' * 4_000}", "recursion"),
        (f"title: {'{a: ' * 2_000}", "recursion"),
        (f"title: {'x' * 10_000}", "longer than 10000 characters"),
        (f"{BOMB}title: *j\ntags: *j", "title: Input should be a valid string"),
        ("tags: &a [*a]", "title: Field required"),
        ("base: &b {title: x}\n<<: *b", "kind: Field required"),
        ("<<: {title: x}", "kind: Field required"),
        ("!!omap [title: x, kind: y]", "owner: Field required"),
        ("? [a, b]\n: c", "title: Field required"),
        ("title: !!python/object/apply:os.system ['id']", "title: Input should be a valid string"),
        ("title: !!binary abc", "base64"),
        (f"title: {'1' * 9_000}", "limit"),
    ],
)  # fmt: skip
def test_front_matter_that_is_made_to_harm_is_a_fault_like_any_other(
    tmp_path: Path, head: str, told: str
) -> None:
    (tmp_path / "some-key.md").write_text(f"---\n{head}\n---\nx", encoding="utf-8")
    with pytest.raises(Problem) as problem:
        articlefiles.read_folder(tmp_path)
    assert told in str(problem.value)


def test_only_files_of_the_folder_are_read(tmp_path: Path) -> None:
    """Nobody's own files, no device without an end, and nothing that waits for a writer."""
    folder = tmp_path / "articles"
    folder.mkdir()
    (tmp_path / "secret.md").write_text(f"{HEAD}---\nx")
    (folder / "link-out.md").symlink_to(tmp_path / "secret.md")
    (folder / "no-end.md").symlink_to("/dev/zero")
    os.mkfifo(folder / "wait-ing.md")
    (folder / "so-long.md").write_bytes(b"x" * 1_000_001)
    with pytest.raises(Problem) as problem:
        articlefiles.read_folder(folder)
    lines = [line.removeprefix(f"{folder}/").split(": ")[1] for line in str(problem.value).splitlines()]
    assert lines == [
        f"is a link that leads out of {folder}",
        f"is a link that leads out of {folder}",
        "is longer than 1000000 bytes",
        "is no file",
    ]


@pytest.mark.parametrize("folder", ["nowhere", "."])
def test_a_folder_without_articles_is_bad_input(tmp_path: Path, folder: str) -> None:
    with pytest.raises(Problem) as problem:
        articlefiles.read_folder(tmp_path / folder)
    assert problem.value.code == 2
