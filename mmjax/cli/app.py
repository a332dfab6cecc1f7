"""The `mmjax` command."""

import sys

import tyro

from mmjax.cli import options
from mmjax.cli.anonymise import anonymise
from mmjax.cli.calibrate import calibrate
from mmjax.cli.compare import compare
from mmjax.cli.curve import curve
from mmjax.cli.data import data
from mmjax.cli.describe import describe
from mmjax.cli.encrypt import decrypt, encrypt
from mmjax.cli.evaluate import evaluate
from mmjax.cli.export import export
from mmjax.cli.fit import fit
from mmjax.cli.index import index
from mmjax.cli.list import list_parts
from mmjax.cli.predict import predict
from mmjax.cli.prepare import prepare
from mmjax.cli.report import report
from mmjax.cli.review import review
from mmjax.cli.search import search
from mmjax.cli.serve import serve
from mmjax.cli.table import table

app = tyro.extras.SubcommandApp()
commands = (
    *(data, fit, prepare, evaluate, predict, report, compare, calibrate),
    *(curve, review, index, search, serve, describe, table, export),
    *(encrypt, decrypt, anonymise),
)
for command in commands:
    app.command(command)
app.command(name="list")(list_parts)


def main() -> None:
    """Run the console command; a UserError ends it with one line and exit code 1."""
    with options.errors_shown():
        app.cli(
            prog="mmjax",
            args=options.joined(sys.argv[1:]),
            description="Look at data, train on a table, evaluate, predict, export and search.",
        )
