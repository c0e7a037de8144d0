"""Search: words in names and in what processors found, the best first, with the place where they stand."""

import json
import time
from itertools import islice, product

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from picasso_core.backfills import asking, walking
from picasso_core.models import Artifact, Backfill, Entry, Event, File, Job
from picasso_core.models.events import START
from picasso_core.search import index
from picasso_core.search.words import excerpt, read, words
from tests.factories import FileFactory, JobFactory, OfferFactory
from tests.live import wait_until
from tests.papers import in_paper
from tests.threads import at_once

# Each step in a transaction of its own: the log shows what is committed.
pytestmark = pytest.mark.django_db(transaction=True)


def file(name: str, **found: object) -> File:
    """Have a File of which the processors have found something."""
    made = FileFactory(name=name, media_type="text/plain", status="processed", due_at=None)
    for processor, data in found.items():
        job = JobFactory(file=made, processor=processor)
        Job.claim(job.pk).succeed(data if isinstance(data, dict) else {"text": data}, [], [])
    return made


def catch_up() -> None:
    """Be the sweeper; on PostgreSQL the log shows an event once every older transaction of the database is over."""
    newest = File.objects.order_by("-pk").first()

    def done() -> bool:
        index.catch_up(5)
        return newest is None or Entry.objects.filter(file=newest).exists()

    wait_until(done)
    index.catch_up(5)


def found(client, q: str, **parameters) -> list[str]:
    answer = client.get("/files/", {"q": q, **parameters})
    assert answer.status_code == 200, answer.json()
    return [each["name"] for each in answer.json()["results"]]


@pytest.fixture
def archive():
    """Have some files."""
    file("harbour-report_2024.pdf", pdf="The crane was mended in May.")
    file(
        "notes.txt", text={"preview": "A walk along the harbour", "lines": 1, "nested": [{"deep": "lighthouse keeper"}]}
    )
    file("Ärger.txt", text="Müller fährt zum Hafen und zurück")
    file("東京.txt", text="東京都の灯台は古い")
    file("маяк.txt", text="Утро на маяке")
    file("empty.bin")
    catch_up()


@pytest.mark.parametrize(
    ("q", "names"),
    [
        ("harbour", ["harbour-report_2024.pdf", "notes.txt"]),
        ("HARBOUR", ["harbour-report_2024.pdf", "notes.txt"]),
        ("report", ["harbour-report_2024.pdf"]),
        ("2024 crane", ["harbour-report_2024.pdf"]),
        ("harbour -walk", ["harbour-report_2024.pdf"]),
        ('"lighthouse keeper"', ["notes.txt"]),
        ('"keeper lighthouse"', []),
        ("light*", ["notes.txt"]),
        ("light", []),
        ("muller", ["Ärger.txt"]),
        ("Hafen zurück", ["Ärger.txt"]),
        ("灯台", ["東京.txt"]),
        ("台灯", []),
        ("東京", ["東京.txt"]),
        ("маяке", ["маяк.txt"]),
        ("маяк*", ["маяк.txt"]),
        ("preview", []),
        ("nowhere", []),
    ],
)
def test_words_are_found_in_names_and_texts(client, archive, q, names):
    assert found(client, q) == names


def test_a_hit_tells_where_it_stands(client, archive):
    (first, second) = client.get("/files/", {"q": "harbour"}).json()["results"]
    assert first["match"] == [{"in": "name", "excerpt": "«harbour»-report_2024.pdf"}]
    (match,) = second["match"]
    assert match["in"] == "text"
    assert "A walk along the «harbour»" in match["excerpt"]


def test_a_search_keeps_to_the_filters(client, archive):
    File.objects.filter(name="notes.txt").update(status="failed")
    assert found(client, "harbour", status="failed") == ["notes.txt"]
    assert found(client, "harbour", name="report", media_type="text/*") == ["harbour-report_2024.pdf"]


def test_the_answer_is_as_the_page_shows_it(client):
    (shown,) = map(json.loads, in_paper("docs/search.md", "json"))
    file("report.pdf", pdf="The harbour has a new crane.")
    catch_up()
    (answer,) = client.get("/files/", {"q": "harbour crane"}).json()["results"]
    assert {name: answer[name] for name in shown} == shown


def test_without_a_question_there_is_no_match(client, archive):
    assert client.get("/files/").json()["results"][0]["match"] == []


def test_pages_hold_each_hit_once_there_and_back(client):
    names = [file(f"boat {number}.txt").name for number in range(7)]
    catch_up()
    page = client.get("/files/", {"q": "boat", "page_size": 3}).json()
    seen = [page]
    while page["next"]:
        page = client.get(page["next"]).json()
        seen.append(page)
    assert sorted(each["name"] for page in seen for each in page["results"]) == names
    assert [each["name"] for each in client.get(seen[1]["previous"]).json()["results"]] == [
        each["name"] for each in seen[0]["results"]
    ]


@pytest.mark.parametrize(
    ("parameters", "attr"),
    [
        ({"q": ""}, "q"),
        ({"q": "a\0b"}, "q"),
        ({"q": "a" * 256}, "q"),
    ],
)
def test_what_cannot_be_looked_for_is_refused_with_a_sentence(client, parameters, attr):
    answer = client.get("/files/", parameters)
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert error["attr"] == attr
    assert error["detail"].endswith(".")


@pytest.mark.parametrize("q", ["-only", "... !", "-a " * 40 + "boat"])
def test_where_there_is_no_word_to_look_for_nothing_is_found(client, q):
    file("boat.txt")
    catch_up()
    assert client.get("/files/", {"q": q}).json()["results"] == []
    assert client.get("/files/", {"q": q, "ordering": "name"}).json()["results"] == []


def test_hits_come_in_another_order_where_one_is_asked_for(client):
    for name in ("c boat", "a boat boat", "a ship", "b boat"):
        file(name)
    catch_up()
    page = client.get("/files/", {"q": "boat", "ordering": "name", "page_size": 2}).json()
    assert [each["name"] for each in page["results"]] == ["a boat boat", "b boat"]
    assert page["results"][1]["match"] == [{"in": "name", "excerpt": "b «boat»"}]
    assert [each["name"] for each in client.get(page["next"]).json()["results"]] == ["c boat"]


@pytest.mark.parametrize("cursor", ["nonsense", "cT0tMQ==", "cT05OTk5OTk5OTk5", "cD0yMDI2"])
def test_a_page_of_ones_own_making_is_404(client, cursor):
    assert client.get("/files/", {"q": "a", "cursor": cursor}).status_code == 404


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(q=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=60))
def test_no_question_is_an_error_of_the_service(client, q):
    assert client.get("/files/", {"q": q}).status_code == 200


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=200), q=st.text(max_size=30))
def test_an_excerpt_shows_what_is_there(text, q):
    shown = excerpt(text, read(q))
    assert bool(shown) <= ("«" in shown)
    if all(word in words(text) for word in words(q)) and len(words(q)) == 1 and read(q):
        assert shown


def test_the_whole_text_that_a_processor_wrote_is_searched(client):
    made = FileFactory(name="long.pdf", media_type="application/pdf", status="processed", due_at=None)
    job = Job.claim(JobFactory(file=made, processor="pdf").pk)
    key = default_storage.save("artifacts/aa/text", ContentFile(b"preview " * 5000 + b"albatross"))
    artifact = Artifact(job=job, name="text.txt", media_type="text/plain", size=1, key=key)
    assert job.succeed({"preview": "preview preview"}, [], [artifact])
    catch_up()
    assert found(client, "albatross") == ["long.pdf"]


def test_a_file_that_is_deleted_is_not_found(client, archive):
    File.remove(File.objects.get(name="notes.txt").pk)
    assert found(client, "harbour") == ["harbour-report_2024.pdf"]
    file("another harbour.txt")
    catch_up()
    assert sorted(found(client, "harbour")) == ["another harbour.txt", "harbour-report_2024.pdf"]


def test_a_newer_result_replaces_the_words_of_the_older(client):
    made = file("a.txt", text="albatross")
    catch_up()
    Job.objects.run_again(made.jobs.get())
    Job.claim(made.jobs.get().pk).succeed({"text": "cormorant"}, [], [])
    wait_until(lambda: index.catch_up(5) or found(client, "cormorant"))
    assert found(client, "albatross") == []


def test_an_archive_from_before_is_indexed_when_asked_to(client, archive, capsys):
    Entry.objects.all().delete()
    assert found(client, "harbour") == []
    call_command("search")
    assert capsys.readouterr().out == "The search knows 0 of 6 files.\n"
    call_command("search", rebuild=True)
    assert found(client, "harbour") == ["harbour-report_2024.pdf", "notes.txt"]
    call_command("search")
    assert capsys.readouterr().out == "The search knows 6 files.\nThe search knows 6 of 6 files.\n"


def test_what_nobody_has_read_yet_is_said(client, capsys):
    file("a.txt")
    wait_until(lambda: Event.objects.after(START, 1))
    call_command("search")
    assert "events that it has not read" in capsys.readouterr().out


def test_files_that_are_deleted_while_it_is_made_anew_are_no_error(client, archive):
    steps = [lambda: list(index.rebuild()), lambda: [File.remove(file.pk) for file in File.objects.all()[:4]]]
    at_once(*steps)
    index.catch_up(5)
    assert Entry.objects.count() == File.objects.count() == 2


def test_a_version_that_is_shown_again_is_found_again(client):
    made = file("a.txt", echo="albatross")
    time.sleep(0.002)
    job = JobFactory(file=made, version="2", current=False)
    assert Job.claim(job.pk).succeed({"text": "cormorant"}, [], [])
    wait_until(lambda: index.catch_up(5) or found(client, "cormorant"))
    OfferFactory(), OfferFactory(version="2")
    back = asking.roll_back(Backfill.objects.create(processor="echo", version="2", previous="1", state="done"))
    wait_until(lambda: walking.walk() or Backfill.objects.get(pk=back.pk).state == "done")
    assert (found(client, "albatross"), found(client, "cormorant")) == (["a.txt"], [])


def test_more_words_than_an_index_takes_keep_no_other_file_from_it(client):
    # Each of another kind, in a script of four bytes a letter: 2 MB where PostgreSQL takes one.
    letters = [chr(0x10400 + number) for number in range(40)]
    many = " ".join("".join(word) for word in islice(product(letters, repeat=4), 50_000))
    file("many.txt", one=many[: index.LONGEST], two=many[::-1][: index.LONGEST])
    file("after.txt", text="albatross")
    catch_up()
    assert found(client, "albatross") == ["after.txt"]
    assert found(client, "many") == ["many.txt"]
    assert found(client, many[:4]) == ["many.txt"]


def test_an_uploaded_text_is_found_by_a_word_in_it(instance):
    uploaded = instance.upload(b"The cormorants of the northern skerries\n" * 40, "birds.txt")
    instance.ended(uploaded)
    page = instance.wait_until(lambda: instance.get("/files/?q=cormorants+skerries")["results"], 30)
    assert [each["id"] for each in page] == [uploaded["id"]]
    assert "«cormorants»" in page[0]["match"][0]["excerpt"]


def test_a_text_of_more_words_than_an_index_takes_is_found_by_the_first_and_holds_nobody_up(client):
    # Each is short and unfolds into twenty letters.
    many = " ".join(f"\ufdfa{number:x}" for number in range(60_000))
    file("many.txt", one=many, two=many[::-1], text="lighthouse")
    file("next.txt", text="harbour")
    catch_up()
    assert found(client, "harbour") == ["next.txt"]
    assert found(client, "many") == found(client, "\ufdfa1f") == ["many.txt"]
