// kube_client.mjs - what test_kube_clients.py has @kubernetes/client-node do: `SERVER STEP` on the command line, JSON on standard output, one value a line.
// It runs in the folder of the package, so it is given to node as text (--eval).
import { PassThrough } from 'node:stream';
import * as k8s from '@kubernetes/client-node';

const [server, step] = process.argv.slice(-2);
const kc = new k8s.KubeConfig();
kc.loadFromClusterAndUser({ name: 'logpond', server, skipTLSVerify: true }, { name: 'reader' });
const core = kc.makeApiClient(k8s.CoreV1Api), apps = kc.makeApiClient(k8s.AppsV1Api);
const namespace = 'shop', say = (value) => console.log(JSON.stringify(value));

const steps = {
    async read() {
        const names = [];
        let _continue;
        do {
            const page = await core.listNamespacedPod({ namespace, limit: 1, _continue });
            names.push(...page.items.map((p) => p.metadata.name));
            _continue = page.metadata._continue;
        } while (_continue);
        say(names);
        say((await core.listPodForAllNamespaces({ labelSelector: 'app in (api)', fieldSelector: 'spec.nodeName=node-1' })).items.map((p) => p.metadata.name));
        const pod = await core.readNamespacedPod({ namespace, name: 'api-0' });
        say([pod.metadata.uid, pod.metadata.creationTimestamp instanceof Date, pod.spec.nodeName, pod.status.containerStatuses.map((c) => [c.name, c.restartCount])]);
        say(await core.readNamespacedPodLog({ namespace, name: 'api-0', container: 'api', tailLines: 2 }));
        say(await core.readNamespacedPodLog({ namespace, name: 'api-0', previous: true, container: 'api' }));
        say((await core.listNamespace()).items.map((n) => n.metadata.name));
        say((await apps.listNamespacedStatefulSet({ namespace })).items.map((s) => s.metadata.name));
        try {
            await core.readNamespacedPod({ namespace, name: 'nope' });
        } catch (e) {
            say([e.code, JSON.parse(e.body).message]);
        }
        try {
            await core.deleteNamespacedPod({ namespace, name: 'api-0' });
        } catch (e) {
            say(e.code);
        }
    },

    // until the pod that the test makes then is there
    async watch() {
        const { metadata } = await core.listNamespacedPod({ namespace });
        await new Promise((done) => {
            let request;
            const query = { resourceVersion: metadata.resourceVersion };
            const event = (type, pod) => {
                say([type, pod.metadata.name, pod.status.phase]);
                if (pod.metadata.name === 'new') {
                    request.then((r) => r.abort());
                }
            };
            request = new k8s.Watch(kc).watch(`/api/v1/namespaces/${namespace}/pods`, query, event, done);
            request.then(() => say('watching'));
        });
    },

    async follow() {
        const stream = new PassThrough();
        stream.on('data', (data) => process.stdout.write(data));
        await new k8s.Log(kc).log(namespace, 'live', 'api', stream, { follow: true, tailLines: 1 });
        await new Promise((done) => stream.on('end', done));
    },
};
await steps[step]();
process.exit(0);
