"""Every simulated program by the name that images give it."""

from __future__ import annotations

from simkube.runtime.applets.table import APPLETS
from simkube.runtime.process import Program
from simkube.runtime.programs.agents import kindnetd, kube_proxy, local_path_provisioner
from simkube.runtime.programs.appetite import appetite
from simkube.runtime.programs.coredns.main import coredns
from simkube.runtime.programs.databases.etcd import etcd, etcdctl
from simkube.runtime.programs.databases.memcached import memcached
from simkube.runtime.programs.databases.mongo import mongod
from simkube.runtime.programs.databases.mongosh import mongosh
from simkube.runtime.programs.databases.mysql import mysqld
from simkube.runtime.programs.databases.mysql_client import healthcheck, mysql, mysqladmin
from simkube.runtime.programs.databases.postgres import postgres
from simkube.runtime.programs.databases.psql import pg_isready, psql
from simkube.runtime.programs.described import described, said_ok
from simkube.runtime.programs.grpc_health import grpc_health_probe
from simkube.runtime.programs.guestbook import guestbook
from simkube.runtime.programs.ingress.controller import dumb_init, ingress_controller
from simkube.runtime.programs.interpreter import interpreter
from simkube.runtime.programs.nginx.main import nginx
from simkube.runtime.programs.node_tools import chroot, crictl, journalctl, systemctl
from simkube.runtime.programs.packages.apk import apk
from simkube.runtime.programs.packages.apt import apt, apt_cache, dpkg
from simkube.runtime.programs.packages.dnf import dnf, rpm
from simkube.runtime.programs.redis.cli import redis_cli
from simkube.runtime.programs.redis.server import redis_server
from simkube.runtime.programs.small_servers import agnhost, http_echo, pause, python
from simkube.runtime.programs.stand_in import stand_in
from simkube.runtime.programs.static_site import apache, static_site
from simkube.runtime.programs.stress import consumer, stress
from simkube.runtime.programs.voting import result, vote, worker

PROGRAMS: dict[str, Program] = {
    **APPLETS,
    "agnhost": agnhost,
    "chroot": chroot,
    "crictl": crictl,
    "journalctl": journalctl,
    "systemctl": systemctl,
    "apache": apache,
    "apk": apk,
    "coredns": coredns,
    "kindnetd": kindnetd,
    "kube-proxy": kube_proxy,
    "local-path-provisioner": local_path_provisioner,
    "appetite": appetite,
    "apt": apt,
    "apt-cache": apt_cache,
    "apt-get": apt,
    "dnf": dnf,
    "dpkg": dpkg,
    "dumb-init": dumb_init,
    "described": described,
    "etcd": etcd,
    "etcdctl": etcdctl,
    "grpc_health_probe": grpc_health_probe,
    "guestbook": guestbook,
    "http-echo": http_echo,
    "interpreter": interpreter,
    "mariadb-healthcheck": healthcheck,
    "memcached": memcached,
    "mongod": mongod,
    "mongosh": mongosh,
    "mysql": mysql,
    "mysqladmin": mysqladmin,
    "mysqld": mysqld,
    "microdnf": dnf,
    "nginx": nginx,
    "nginx-ingress-controller": ingress_controller,
    "pause": pause,
    "pg_isready": pg_isready,
    "postgres": postgres,
    "psql": psql,
    "python": python,
    "redis-cli": redis_cli,
    "redis-server": redis_server,
    "result": result,
    "said-ok": said_ok,
    "stand-in": stand_in,
    "static-site": static_site,
    "stress": stress,
    "stress-consumer": consumer,
    "stress-ng": stress,
    "rpm": rpm,
    "yum": dnf,
    "vote": vote,
    "worker": worker,
}
