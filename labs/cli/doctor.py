"""``kindling doctor``: what is missing, and the command that installs it."""

from __future__ import annotations

import click

from labs.cli.context import settings
from labs.cli.importing import site_server
from labs.cli.output import clean, echo, style
from labs.errors import KindlingError


@click.command()
def doctor() -> int:
    """Say what is missing for the site and for each provider, and the command that installs it.

    Exits 0 when labs can start and the site can be served.
    """
    from labs.clusters.registry import Providers
    from labs.doctor import Finding, examine

    found = settings()
    findings = examine(found, Providers(found))
    try:
        site_server()
        findings.append(Finding("kindling", "site", True, "all that it imports is installed"))
    except KindlingError as error:
        findings.append(Finding("kindling", "site", False, str(error), error.fix))
    for finding in findings:
        sign = style("✓", fg="green") if finding.fine else style("✗", fg="red")
        echo(f"{sign} {finding.area}: {finding.what}: {clean(finding.detail)}")
        if finding.fix:
            echo(f"    {clean(finding.fix)}")
    usable = [one.area for one in findings if one.what == "provider" and one.fine]
    needed = [one for one in findings if one.what in ("state", "database", "kubectl", "site")]
    if usable and all(one.fine for one in needed):
        echo(f"Labs can start on: {', '.join(usable)}.")
        return 0
    return 1
