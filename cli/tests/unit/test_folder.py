"""The folder of a desk, when it cannot be one."""

import pytest
from typer.testing import CliRunner

from tickdesk_cli.main import app


@pytest.mark.parametrize("command", ["up", "status"])
def test_a_folder_that_cannot_be_looked_into_is_told_in_words(command: str) -> None:
    """As with a folder of somebody else, asking whether it holds a desk raises OSError."""
    result = CliRunner().invoke(app, [command, "--folder", "x" * 300])
    assert result.exit_code == 2
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "x" * 20 in result.output
