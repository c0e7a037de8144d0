"""Rows for tests, with bytes behind the files."""

import hashlib

import factory
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from picasso_core.models import File, Job, Offer
from picasso_core.models.files import key_for

ECHO = "application/vnd.picasso.echo"


class FileFactory(factory.django.DjangoModelFactory):
    """A File as the upload leaves it; ``content`` are its bytes, ``media_type`` that it has been identified."""

    class Meta:
        model = File

    class Params:
        content = b"picasso-echo\nhello\n"

    name = "hello.echo"
    bytes = factory.SelfAttribute("content")
    size = factory.LazyAttribute(lambda each: len(each.content))
    sha256 = factory.LazyAttribute(lambda each: hashlib.sha256(each.content).hexdigest())

    @classmethod
    def _create(cls, model_class, *args, **kwargs):
        content = kwargs.pop("bytes")
        file = model_class(*args, **kwargs)
        file.file.name = default_storage.save(key_for(file), ContentFile(content))
        file.save(force_insert=True)
        return File.objects.get(pk=file.pk)


class OfferFactory(factory.django.DjangoModelFactory):
    """What a live worker of the queue ``picasso.v1`` can run."""

    class Meta:
        model = Offer

    processor = "echo"
    version = "1"
    distribution = "picasso-echo 0.1.0"
    media_types = factory.LazyFunction(lambda: [ECHO])
    limits = factory.LazyFunction(lambda: {"seconds": 5, "cpu_seconds": 3, "memory": 2**28, "output": 2**24})
    queue = "picasso.v1"


class JobFactory(factory.django.DjangoModelFactory):
    """A queued Job on a File that has been identified."""

    class Meta:
        model = Job

    file = factory.SubFactory(FileFactory, media_type=ECHO, status=File.Status.PROCESSING, due_at=None)
    processor = "echo"
    version = "1"
    distribution = "picasso-echo 0.1.0"
    queue = "picasso.v1"
