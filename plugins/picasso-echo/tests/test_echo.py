"""The echo processor keeps the contract and ends as it is told."""

import pytest

from picasso_core.exceptions import Declined, InvalidFile, MissingDependency, TemporaryFailure
from picasso_core.testing import check_processor, source_file
from picasso_echo import MEDIA_TYPE, EchoProcessor


def test_it_keeps_the_contract():
    check_processor(EchoProcessor(), samples={MEDIA_TYPE: EchoProcessor.samples / "hello.echo"})


def test_it_gives_back_the_text():
    with source_file(b"picasso-echo\nhello\n", media_type=MEDIA_TYPE) as file:
        assert EchoProcessor().process(file).data == {"text": "hello\n"}


@pytest.mark.parametrize("error", [InvalidFile, Declined, TemporaryFailure, MissingDependency, ValueError])
def test_it_raises_what_the_file_asks_for(error):
    command = b"picasso-echo\nraise " + error.__name__.encode()
    with source_file(command, media_type=MEDIA_TYPE) as file, pytest.raises(error, match="asked for it"):
        EchoProcessor().process(file)
