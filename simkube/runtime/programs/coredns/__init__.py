"""CoreDNS as a program in a pod: what its Corefile says, it does.

Source: https://coredns.io/manual/toc/ and the plugins' pages (https://coredns.io/plugins/).
"""
