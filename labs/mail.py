"""Mail, by the server that the settings name. It refuses to send anything over a line that others may read."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from labs.settings import is_loopback

SECONDS = 20.0


@dataclass(frozen=True)
class Mailer:
    """``url``: ``smtps://USER:PASSWORD@HOST:PORT``, or ``smtp://`` for STARTTLS (which only this machine may lack)."""

    url: str
    sender: str

    def send(self, to: str, subject: str, text: str) -> None:
        """Hand one message to the server; ``OSError`` or ``smtplib.SMTPException`` where it does not take it."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.sender, to, subject
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        parts = urlsplit(self.url)
        host, context = parts.hostname or "localhost", ssl.create_default_context()
        if parts.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, parts.port or 465, timeout=SECONDS, context=context)
        else:
            server = smtplib.SMTP(host, parts.port or 587, timeout=SECONDS)
        with server:
            server.ehlo()
            if parts.scheme == "smtp" and (server.has_extn("starttls") or not is_loopback(host)):
                server.starttls(context=context)
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(message)
