"""Every simulated program by the name that images give it."""

from __future__ import annotations

from simkube.runtime.applets.table import APPLETS
from simkube.runtime.process import Program
from simkube.runtime.programs.appetite import appetite
from simkube.runtime.programs.described import described
from simkube.runtime.programs.ingress.controller import dumb_init, ingress_controller
from simkube.runtime.programs.nginx.main import nginx
from simkube.runtime.programs.redis import redis_cli, redis_server
from simkube.runtime.programs.small_servers import agnhost, http_echo, pause, python
from simkube.runtime.programs.stand_in import stand_in
from simkube.runtime.programs.static_site import apache
from simkube.runtime.programs.stress import consumer, stress

PROGRAMS: dict[str, Program] = {
    **APPLETS,
    "agnhost": agnhost,
    "apache": apache,
    "appetite": appetite,
    "dumb-init": dumb_init,
    "described": described,
    "http-echo": http_echo,
    "nginx": nginx,
    "nginx-ingress-controller": ingress_controller,
    "pause": pause,
    "python": python,
    "redis-cli": redis_cli,
    "redis-server": redis_server,
    "stand-in": stand_in,
    "stress": stress,
    "stress-consumer": consumer,
}
