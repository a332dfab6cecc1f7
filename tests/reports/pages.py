"""What pages must hold, whatever they are about."""

import re

PANELS = re.compile(r'<div class="panels" role="img" aria-label="([^"]*)">.*?</svg>\s*</div>', re.S)


def names_of_pictures(text: str) -> list[str]:
    """What every picture and drawing is called for the blind; "" where it is called nothing."""
    names = PANELS.findall(text)
    for tag in re.findall(r"<(?:img|svg)\b[^>]*>", PANELS.sub("", text)):
        found = re.search(
            r'\balt="([^"]*)"' if tag.startswith("<img") else r'role="img" aria-label="([^"]*)"',
            tag,
        )
        names.append(found[1] if found else "")
    return names
