"""The cluster roles every cluster has for people and programs, as text; :mod:`.bootstrap` reads it.

A line that begins without a blank names a role (``+label`` marks what it is aggregated to, ``=label`` what it sums up);
each indented line is one rule: verbs, API groups, resources, and names if any, or verbs and ``-`` and URLs. ``core`` is
the group without a name, ``rw``, ``r``, ``w`` are the sets of verbs below. After Kubernetes 1.36; kinds that are not
simulated are named all the same, because a role is read by people too.
"""

VERBS = {
    "r": "get,list,watch",
    "lw": "list,watch",
    "w": "create,delete,deletecollection,patch,update",
    "record": "create,patch,update",
}

ROLES = """
cluster-admin
  * * *
  * - *
system:discovery
  get - /api,/api/*,/apis,/apis/*,/healthz,/livez,/openapi,/openapi/*,/readyz,/version,/version/
system:monitoring
  get - /healthz,/healthz/*,/livez,/livez/*,/metrics,/metrics/slis,/readyz,/readyz/*
system:basic-user
  create authorization.k8s.io selfsubjectaccessreviews,selfsubjectrulesreviews
  create authentication.k8s.io selfsubjectreviews
system:public-info-viewer
  get - /healthz,/livez,/readyz,/version,/version/
system:service-account-issuer-discovery
  get - /.well-known/openid-configuration,/.well-known/openid-configuration/,/openid/v1/jwks,/openid/v1/jwks/
admin =admin
edit +admin =edit
view +edit =view
system:aggregate-to-admin +admin
  create authorization.k8s.io localsubjectaccessreviews
  create,delete,deletecollection,get,list,patch,update,watch rbac.authorization.k8s.io rolebindings,roles
system:aggregate-to-edit +edit
  r core pods/attach,pods/exec,pods/portforward,pods/proxy,secrets,services/proxy
  impersonate core serviceaccounts
  w core pods,pods/attach,pods/exec,pods/portforward,pods/proxy
  create core pods/eviction
  w core configmaps,events,persistentvolumeclaims,replicationcontrollers,replicationcontrollers/scale,secrets,\
serviceaccounts,services,services/proxy
  create core serviceaccounts/token
  w apps daemonsets,deployments,deployments/rollback,deployments/scale,replicasets,replicasets/scale,statefulsets,\
statefulsets/scale
  w autoscaling horizontalpodautoscalers
  w batch cronjobs,jobs
  w extensions daemonsets,deployments,deployments/rollback,deployments/scale,ingresses,networkpolicies,replicasets,\
replicasets/scale,replicationcontrollers/scale
  w policy poddisruptionbudgets
  w networking.k8s.io ingresses,networkpolicies
  create,delete,deletecollection,get,list,patch,update,watch coordination.k8s.io leases
  w resource.k8s.io resourceclaims,resourceclaimtemplates
system:aggregate-to-view +view
  r core configmaps,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,pods,replicationcontrollers,\
replicationcontrollers/scale,serviceaccounts,services,services/status
  r core bindings,limitranges,namespaces/status,pods/log,pods/status,replicationcontrollers/status,resourcequotas,\
resourcequotas/status
  r core namespaces
  r core,events.k8s.io events
  r discovery.k8s.io endpointslices
  r apps controllerrevisions,daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,replicasets,\
replicasets/scale,replicasets/status,statefulsets,statefulsets/scale,statefulsets/status
  r autoscaling horizontalpodautoscalers,horizontalpodautoscalers/status
  r batch cronjobs,cronjobs/status,jobs,jobs/status
  r extensions daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,ingresses,\
ingresses/status,networkpolicies,replicasets,replicasets/scale,replicasets/status,replicationcontrollers/scale
  r policy poddisruptionbudgets,poddisruptionbudgets/status
  r networking.k8s.io ingresses,ingresses/status,networkpolicies
  r resource.k8s.io resourceclaims,resourceclaims/status,resourceclaimtemplates
system:heapster
  r core events,namespaces,nodes,pods
  r extensions deployments
system:node
  create authentication.k8s.io tokenreviews
  create authorization.k8s.io localsubjectaccessreviews,subjectaccessreviews
  r core services
  create,get,list,watch core nodes
  patch,update core nodes/status
  patch,update core nodes
  record core,events.k8s.io events
  r core pods
  create,delete core pods
  patch,update core pods/status
  create core pods/eviction
  r core configmaps,secrets
  get core persistentvolumeclaims,persistentvolumes
  get core endpoints
  create,get,list,watch certificates.k8s.io certificatesigningrequests
  create,delete,get,patch,update coordination.k8s.io leases
  get storage.k8s.io volumeattachments
  create core serviceaccounts/token
  get,patch,update core persistentvolumeclaims/status
  r storage.k8s.io csidrivers
  create,delete,get,patch,update storage.k8s.io csinodes
  r node.k8s.io runtimeclasses
  get resource.k8s.io resourceclaims
  deletecollection,r resource.k8s.io resourceslices
system:node-problem-detector
  get core nodes
  patch core nodes/status
  record core,events.k8s.io events
system:kubelet-api-admin
  r core nodes
  proxy core nodes
  * core nodes/log,nodes/metrics,nodes/proxy,nodes/stats
system:node-bootstrapper
  create,get,list,watch certificates.k8s.io certificatesigningrequests
system:auth-delegator
  create authentication.k8s.io tokenreviews
  create authorization.k8s.io subjectaccessreviews
system:kube-aggregator
  r core endpoints,services
system:kube-controller-manager
  record core,events.k8s.io events
  create coordination.k8s.io leases
  get,update coordination.k8s.io leases kube-controller-manager
  create core secrets,serviceaccounts
  delete core secrets
  get core configmaps,namespaces,secrets,serviceaccounts
  update core secrets,serviceaccounts
  create authentication.k8s.io tokenreviews
  create authorization.k8s.io subjectaccessreviews
  lw * *
  create core serviceaccounts/token
system:kube-scheduler
  record core,events.k8s.io events
  create coordination.k8s.io leases
  get,update coordination.k8s.io leases kube-scheduler
  lw core nodes
  delete,get,list,watch core pods
  create core bindings,pods/binding
  patch,update core pods/status
  lw core replicationcontrollers,services
  lw apps,extensions replicasets
  lw apps statefulsets
  lw policy poddisruptionbudgets
  lw core persistentvolumeclaims,persistentvolumes
  create authentication.k8s.io tokenreviews
  create authorization.k8s.io subjectaccessreviews
  r storage.k8s.io csinodes
  get,list,patch,update,watch core persistentvolumeclaims,persistentvolumes
  r storage.k8s.io storageclasses
  r core namespaces
  r storage.k8s.io csidrivers
  r storage.k8s.io csistoragecapacities
  r storage.k8s.io volumeattachments
  r resource.k8s.io deviceclasses
  get,list,patch,update,watch resource.k8s.io resourceclaims
  patch,update resource.k8s.io resourceclaims/status
  r resource.k8s.io resourceslices
system:kube-dns
  lw core endpoints,services
system:persistent-volume-provisioner
  create,delete,get,list,watch core persistentvolumes
  get,list,update,watch core persistentvolumeclaims
  r storage.k8s.io storageclasses
  watch core events
  record core,events.k8s.io events
system:volume-scheduler
  get,list,patch,update,watch core persistentvolumes
  r storage.k8s.io storageclasses
  get,list,patch,update,watch core persistentvolumeclaims
system:node-proxier
  lw core endpoints,services
  r core nodes
  record core,events.k8s.io events
  lw discovery.k8s.io endpointslices
  lw networking.k8s.io servicecidrs
system:certificates.k8s.io:certificatesigningrequests:nodeclient
  create certificates.k8s.io certificatesigningrequests/nodeclient
system:certificates.k8s.io:certificatesigningrequests:selfnodeclient
  create certificates.k8s.io certificatesigningrequests/selfnodeclient
system:certificates.k8s.io:legacy-unknown-approver
  approve certificates.k8s.io signers kubernetes.io/legacy-unknown
system:certificates.k8s.io:kubelet-serving-approver
  approve certificates.k8s.io signers kubernetes.io/kubelet-serving
system:certificates.k8s.io:kube-apiserver-client-approver
  approve certificates.k8s.io signers kubernetes.io/kube-apiserver-client
system:certificates.k8s.io:kube-apiserver-client-kubelet-approver
  approve certificates.k8s.io signers kubernetes.io/kube-apiserver-client-kubelet
kubeadm:get-nodes
  get core nodes
"""
"""``kubeadm:get-nodes`` is kubeadm's, not the API server's."""

BINDINGS = """
cluster-admin Group system:masters
system:monitoring Group system:monitoring
system:discovery Group system:authenticated
system:basic-user Group system:authenticated
system:public-info-viewer Group system:authenticated,system:unauthenticated
system:node-proxier User system:kube-proxy
system:kube-controller-manager User system:kube-controller-manager
system:kube-dns ServiceAccount kube-system/kube-dns
system:kube-scheduler User system:kube-scheduler
system:volume-scheduler User system:kube-scheduler
system:node
system:service-account-issuer-discovery Group system:serviceaccounts
"""
"""Bindings of the roles of the same name: the kind of the subjects and who they are. ``system:node`` has none."""

OTHER_BINDINGS = """
kubeadm:cluster-admins cluster-admin Group kubeadm:cluster-admins
kubeadm:get-nodes kubeadm:get-nodes Group system:bootstrappers:kubeadm:default-node-token
kubeadm:kubelet-bootstrap system:node-bootstrapper Group system:bootstrappers:kubeadm:default-node-token
kubeadm:node-autoapprove-bootstrap system:certificates.k8s.io:certificatesigningrequests:nodeclient Group \
system:bootstrappers:kubeadm:default-node-token
kubeadm:node-autoapprove-certificate-rotation \
system:certificates.k8s.io:certificatesigningrequests:selfnodeclient Group system:nodes
kubeadm:node-proxier system:node-proxier ServiceAccount kube-system/kube-proxy
"""
"""What kubeadm binds: a name of its own, the cluster role, the subjects."""

NAMESPACED = """
kube-system extension-apiserver-authentication-reader
  r core configmaps extension-apiserver-authentication
kube-system system::leader-locking-kube-controller-manager
  watch core configmaps
  get,update core configmaps kube-controller-manager
kube-system system::leader-locking-kube-scheduler
  watch core configmaps
  get,update core configmaps kube-scheduler
kube-system system:controller:bootstrap-signer
  r core secrets
kube-system system:controller:cloud-provider
  create,get,list,watch core configmaps
kube-system system:controller:token-cleaner
  delete,get,list,watch core secrets
  record core,events.k8s.io events
kube-public system:controller:bootstrap-signer
  r core configmaps
  update core configmaps cluster-info
  record core,events.k8s.io events
"""
"""Roles in namespaces: namespace, name."""

NAMESPACED_BINDINGS = """
kube-system system::extension-apiserver-authentication-reader extension-apiserver-authentication-reader User \
system:kube-controller-manager,system:kube-scheduler
kube-system system::leader-locking-kube-controller-manager system::leader-locking-kube-controller-manager User \
system:kube-controller-manager
kube-system system::leader-locking-kube-scheduler system::leader-locking-kube-scheduler User system:kube-scheduler
kube-system system:controller:bootstrap-signer system:controller:bootstrap-signer ServiceAccount \
kube-system/bootstrap-signer
kube-system system:controller:cloud-provider system:controller:cloud-provider ServiceAccount kube-system/cloud-provider
kube-system system:controller:token-cleaner system:controller:token-cleaner ServiceAccount kube-system/token-cleaner
kube-public system:controller:bootstrap-signer system:controller:bootstrap-signer ServiceAccount \
kube-system/bootstrap-signer
"""
"""Bindings in namespaces: namespace, name, role, subjects."""
