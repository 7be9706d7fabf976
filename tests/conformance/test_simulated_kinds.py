"""Kinds as kubectl shows, makes and changes them on a simulated cluster: scaling, policies, refusals, warnings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from simkube.host.launcher import HostClient
from tests.conformance.conftest import Kubectl, kubectls, learners

Said = Callable[..., str]
POLICY = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: owners}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
  validations:
  - expression: has(object.metadata.labels) && 'owner' in object.metadata.labels
    message: every config map needs an owner
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: owners}
spec: {policyName: owners, validationActions: [Deny]}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  nodeSelector: {beta.kubernetes.io/os: linux}
  containers: [{name: web, image: nginx}]
"""


@pytest.fixture(scope="module")
def kubectl(host: HostClient, home: Path) -> Said:
    """Answers all that kubectl printed, errors included, whatever came of it."""
    host.create("kinds", {"nodes": []})
    one = Kubectl(kubectls()[0], learners(host, "kinds", home), "default", (1, 36))

    def said(line: str, stdin: str = "") -> str:
        done = one.run(line, stdin)
        return done.stdout + done.stderr

    return said


def test_an_autoscaler_in_both_versions(kubectl: Said) -> None:
    kubectl("create deployment web --image=nginx --replicas=0")
    kubectl("autoscale deployment web --min=2 --max=4 --cpu-percent=60")
    assert "cpu: <unknown>/60%" in kubectl("get hpa web")
    assert (
        kubectl("get horizontalpodautoscalers.v1.autoscaling web -o jsonpath={.spec.targetCPUUtilizationPercentage}")
        == "60"
    )
    patch = '{"spec":{"targetCPUUtilizationPercentage":70}}'
    kubectl(f"patch horizontalpodautoscalers.v1.autoscaling web --type=merge -p '{patch}'")
    found = "{.spec.metrics[0].resource.target.averageUtilization}"
    assert kubectl(f"get horizontalpodautoscalers.v2.autoscaling web -o jsonpath={found}") == "70"
    assert "must be greater than or equal to `minReplicas`" in kubectl(
        """patch hpa web --type=merge -p '{"spec":{"maxReplicas":1}}'"""
    )


def test_jobs_and_cron_jobs(kubectl: Said) -> None:
    kubectl("create cronjob tick --image=busybox --schedule='*/5 * * * *' -- date")
    assert "*/5 * * * *" in kubectl("get cronjobs")
    kubectl("create job once --from=cronjob/tick")
    assert "0/1" in kubectl("get jobs once")
    assert "field is immutable" in kubectl("""patch job once --type=merge -p '{"spec":{"completions":3}}'""")
    assert "expected exactly 5 fields, found 1: [often]" in kubectl(
        """patch cronjob tick --type=merge -p '{"spec":{"schedule":"often"}}'"""
    )


def test_what_a_pods_author_is_told(kubectl: Said) -> None:
    said = kubectl("apply -f -", POD)
    assert 'Warning: spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os"' in said
    assert "pod/web created" in said
    said = kubectl("""patch pod web -p '{"spec":{"hostname":"other"}}'""")
    assert "pod updates may not change fields other than `spec.containers[*].image`" in said
    assert '+ "Hostname": "other",' in said


def test_a_policy_of_ones_own(kubectl: Said) -> None:
    kubectl("apply -f -", POLICY)
    said = kubectl("create configmap a")
    assert "ValidatingAdmissionPolicy 'owners' with binding 'owners' denied request: every config map needs" in said
    kubectl("delete validatingadmissionpolicybinding owners")
    assert "configmap/a created" in kubectl("create configmap a")


def test_small_kinds_are_listed(kubectl: Said) -> None:
    kubectl("create priorityclass high --value=1000")
    kubectl("create poddisruptionbudget web --selector=app=web --min-available=50%")
    assert "high" in kubectl("get priorityclasses")
    assert "50%" in kubectl("get pdb web")
    assert "Healthy" in kubectl("get componentstatuses")
    assert "global-default" in kubectl("get flowschemas")
