"""The `mmjax` command."""

import tyro

from mmjax.cli import options
from mmjax.cli.describe import describe
from mmjax.cli.evaluate import evaluate
from mmjax.cli.list import list_parts
from mmjax.cli.predict import predict
from mmjax.cli.table import table

app = tyro.extras.SubcommandApp()
for command in (evaluate, predict, describe, table):
    app.command(command)
app.command(name="list")(list_parts)


def main() -> None:
    """Run the console command; a UserError ends it with one line and exit code 1."""
    with options.errors_shown():
        app.cli(
            prog="mmjax",
            description="Evaluate, compare and describe mmjax runs, and predict with them.",
        )
