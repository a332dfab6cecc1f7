"""`mmjax list`: all registered parts."""

from mmjax.cli import options, tables


def list_parts(own: options.Own = (), json: bool = False, csv: bool = False) -> None:
    """List all encoders, fusions, heads, objectives, data sets, optimisers and other parts.

    Args:
        json: print one JSON object, by family and name
        csv: print CSV: family, name, what it is
    """
    import inspect

    from mmjax.config.registry import FAMILIES

    options.load_own(own)
    tables.require_one(json, csv)
    found = {
        family: {n: (inspect.getdoc(c) or " ").splitlines()[0] for n, c in sorted(members.items())}
        for family, members in FAMILIES.items()
    }
    if json:
        tables.print_json(found)
    elif csv:
        rows = [(family, *row) for family, members in found.items() for row in members.items()]
        tables.print_csv(("family", "name", "what"), rows)
    for family, members in found.items() if not (json or csv) else ():
        print(family)
        for name, what in members.items():
            print(tables.wrapped(f"  {name:<20}  ", what))
