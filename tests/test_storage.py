"""A storage that is no folder, such as S3: the same upload, the same results, the same bytes back."""

import pytest
from django.core.files.storage import FileSystemStorage, Storage, default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from picasso_core.execution import process
from picasso_core.models import File
from tests.factories import OfferFactory

pytestmark = pytest.mark.django_db
CONTENT = b"picasso-echo\nhello\n"


class Elsewhere(Storage):
    """Keeps bytes where no path leads, as far as anybody can see."""

    def __init__(self, location: str) -> None:
        self._behind = FileSystemStorage(location)
        for name in ("_open", "_save", "delete", "exists", "size"):
            setattr(self, name, getattr(self._behind, name))


@pytest.fixture
def elsewhere(settings, folders):
    """Have such a storage for everything."""
    ours = {"BACKEND": "tests.test_storage.Elsewhere", "OPTIONS": {"location": str(folders / "elsewhere")}}
    settings.STORAGES = {**settings.STORAGES, "default": ours}
    return folders


def test_a_file_is_taken_processed_given_back_and_deleted(elsewhere, slot, django_capture_on_commit_callbacks):
    client = Client()
    OfferFactory()
    pk = client.post("/upload/", {"file": SimpleUploadedFile("hello.echo", CONTENT)}).json()["id"]
    process(pk, slot)
    file = client.get(f"/files/{pk}/").json()
    assert (file["status"], file["jobs"][0]["data"]) == ("processed", {"text": "hello\n"})
    assert b"".join(client.get(file["file"]).streaming_content) == CONTENT
    (artifact,) = file["jobs"][0]["artifacts"]
    assert b"".join(client.get(artifact["url"], headers={"range": "bytes=1-2"}).streaming_content) == b"el"
    assert client.get("/readyz").json() == {"database": "ok", "storage": "ok"}
    key = File.objects.get().file.name
    assert default_storage.exists(key)
    with django_capture_on_commit_callbacks(execute=True):
        assert client.delete(f"/files/{pk}/").status_code == 204
    assert not default_storage.exists(key)
    assert list((elsewhere / "scratch" / "incoming").iterdir()) == []
