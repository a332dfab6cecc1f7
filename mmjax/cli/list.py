"""`mmjax list`: all registered parts."""

from mmjax.cli import options


def list_parts(own: options.Own = ()) -> None:
    """List all encoders, fusions, heads, objectives, data sets, optimisers and other parts."""
    import inspect

    from mmjax.config.registry import FAMILIES

    options.load_own(own)
    for family, members in FAMILIES.items():
        print(family)
        for name, cls in sorted(members.items()):
            print(f"  {name:<20}  {(inspect.getdoc(cls) or '').splitlines()[0]}")
