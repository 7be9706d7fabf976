// What a program in JavaScript does with a cluster, through @kubernetes/client-node. Prints what it saw as JSON.
import { PassThrough } from 'node:stream';
import * as k8s from '@kubernetes/client-node';

const namespace = process.argv[2];
const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);
const labels = { app: 'web' };
const podSpec = { containers: [{ name: 'web', image: 'kindling/web:1.0' }] };
const seen = {};

async function until(holds, seconds = 30) {
  const deadline = Date.now() + seconds * 1000;
  for (let found; !(found = await holds()); ) {
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function watchAPod() {
  const told = [];
  const watch = new k8s.Watch(config);
  const request = await watch.watch(
    `/api/v1/namespaces/${namespace}/pods`,
    { fieldSelector: 'metadata.name=web' },
    (type, pod) => {
      const ready = type === 'MODIFIED' && pod.status.containerStatuses?.[0].ready && !pod.metadata.deletionTimestamp;
      if (type !== 'MODIFIED' || (ready && !told.includes('ready'))) told.push(ready ? 'ready' : type);
    },
    () => {},
  );
  await core.createNamespacedPod({ namespace, body: { metadata: { name: 'web', labels }, spec: podSpec } });
  await until(() => told.includes('ready'));
  seen.logged = typeof (await core.readNamespacedPodLog({ name: 'web', namespace }));
  await execute();
  await core.deleteNamespacedPod({ name: 'web', namespace, gracePeriodSeconds: 0 });
  await until(() => told.includes('DELETED'));
  request.abort();
  seen.watched = told;
}

async function execute() {
  const out = new PassThrough();
  let text = '';
  out.on('data', (piece) => (text += piece));
  const exec = new k8s.Exec(config);
  const command = ['sh', '-c', 'echo $((6*7))'];
  const status = await new Promise((resolve, reject) => {
    exec.exec(namespace, 'web', 'web', command, out, process.stderr, null, false, resolve).catch(reject);
  });
  seen.executed = text;
  seen.executedStatus = status.status;
}

async function inform() {
  const told = [];
  const list = () => core.listNamespacedConfigMap({ namespace, labelSelector: 'app=web' });
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const informer = k8s.makeInformer(config, path, list, 'app=web');
  for (const verb of ['add', 'update', 'delete']) informer.on(verb, (one) => told.push(`${verb} ${one.metadata.name}`));
  await informer.start();
  await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'one', labels }, data: { n: '1' } } });
  await until(() => told.length === 1);
  const read = await core.readNamespacedConfigMap({ name: 'one', namespace });
  const stale = structuredClone(read);
  read.data.n = '2';
  await core.replaceNamespacedConfigMap({ name: 'one', namespace, body: read });
  await until(() => told.length === 2);
  seen.conflict = await core
    .replaceNamespacedConfigMap({ name: 'one', namespace, body: stale })
    .catch((error) => error.code);
  await core.deleteNamespacedConfigMap({ name: 'one', namespace });
  await until(() => told.length === 3);
  await informer.stop();
  seen.informed = told;
}

async function patchAndApply() {
  const body = { metadata: { name: 'two' }, data: { colour: 'red' } };
  await core.createNamespacedConfigMap({ namespace, body });
  const patch = [{ op: 'replace', path: '/data/colour', value: 'blue' }];
  seen.patched = (await core.patchNamespacedConfigMap({ name: 'two', namespace, body: patch })).data.colour;
  const objects = k8s.KubernetesObjectApi.makeApiClient(config);
  const applied = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'three', namespace }, data: { colour: 'green' } };
  const how = [undefined, undefined, 'tests', true, k8s.PatchStrategy.ServerSideApply];
  seen.applied = (await objects.patch(applied, ...how)).data;
  seen.missing = await core
    .readNamespacedConfigMap({ name: 'nowhere', namespace })
    .catch((error) => JSON.parse(error.body).reason);
}

async function scale() {
  const template = { metadata: { labels }, spec: podSpec };
  const spec = { replicas: 1, selector: { matchLabels: labels }, template };
  await apps.createNamespacedDeployment({ namespace, body: { metadata: { name: 'web' }, spec } });
  const found = await apps.readNamespacedDeploymentScale({ name: 'web', namespace });
  found.spec.replicas = 2;
  await apps.replaceNamespacedDeploymentScale({ name: 'web', namespace, body: found });
  const ready = async () => (await apps.readNamespacedDeployment({ name: 'web', namespace })).status.readyReplicas;
  await until(async () => (await ready()) === 2);
  seen.scaled = await ready();
}

seen.version = (await config.makeApiClient(k8s.VersionApi).getCode()).gitVersion.startsWith('v1.');
await watchAPod();
await inform();
await patchAndApply();
await scale();
console.log(JSON.stringify(seen));
process.exit(0);
