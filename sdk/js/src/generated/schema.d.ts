// Made by scripts/generate.js from the native API's OpenAPI document; do not edit.

export interface paths {
    "/healthz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether the daemon is alive */
        get: operations["getHealth"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Read the figures */
        get: operations["getMetrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/audit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read the audit
         * @description Each change, each session that was opened and each refusal, oldest first; of a task, one line when it was
         *     accepted and one when it ended. A page may have no lines and still have a `next`: one request looks at so
         *     much at the most. With `Prefer: wait=N` a page without lines is answered when there are some.
         */
        get: operations["readAudit"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/authority": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Read the authority */
        get: operations["getAuthority"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/browser-session": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Read the session that the cookie is of */
        get: operations["getBrowserSession"];
        put?: never;
        /**
         * Begin a session of a browser
         * @description Whoever shows a credential as `Authorization: Bearer` is given a cookie that stands for it from then on: at each
         *     request, whoever the credential stands for then. It ends when the credential does, after twelve hours, or with the
         *     daemon; a caller's seventeenth ends the first. With the cookie, what changes something needs the header
         *     `Innkeeper-CSRF`.
         */
        post: operations["beginBrowserSession"];
        /**
         * End the session that the cookie is of
         * @description What it follows breaks off, and the browser is told to forget the cookie. What was shown for it goes on to count.
         */
        delete: operations["endBrowserSession"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/certificates": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List certificates
         * @description Expired ones, too, until they are revoked.
         */
        get: operations["listCertificates"];
        put?: never;
        /**
         * Issue a certificate
         * @description Whoever shows it in TLS, with the key that signed the request, is known as `cert:NAME`, and may what its role may.
         *     Of what the request asks for, nothing but the key counts.
         */
        post: operations["createCertificate"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/certificates/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Revoke a certificate
         * @description It is refused from then on, and what its bearers follow or have opened ends within a second.
         */
        delete: operations["revokeCertificate"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/certificates/{name}/renew": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Renew a certificate
         * @description For whoever shows it: the next one of the same name, role and project, for as long as it was issued for. The one
         *     that is shown counts until the next one is, or until its end.
         */
        post: operations["renewCertificate"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/diagnostics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Diagnose the daemon
         * @description Everything that is going on, and everything that is wrong. It waits for nothing, and is answered on a
         *     socket of its own too (`diagnose.sock` in the runtime folder), by a thread of its own: there even
         *     while every other thread of the daemon is stuck.
         */
        get: operations["getDiagnosis"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/diagnostics/configuration": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read the daemon's configuration
         * @description As it is in force: flags over the file over the defaults. There are no secrets in it. On the socket
         *     of its own, too.
         */
        get: operations["getConfiguration"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/diagnostics/log": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read the daemon's log
         * @description The last of it, at most 1 MiB, since the daemon's start: whole lines, oldest first. There are no secrets in
         *     it. On the socket of its own, too.
         */
        get: operations["getDaemonLog"];
        put?: never;
        /**
         * Set how much the daemon logs
         * @description Until its end; what its configuration says counts again when it starts.
         */
        post: operations["setLogLevel"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/diagnostics/queue": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Pause a VM's queue, or let it go on
         * @description What has begun goes on, and what is asked for is accepted and waits; kill waits, too. A daemon that
         *     starts has no paused queues.
         */
        post: operations["setQueue"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/diagnostics/reconcile": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Have a VM looked at
         * @description Its hypervisor is asked, its spec's file and its disks are looked at, what is owed of it is tried, and
         *     what its policy says is done, now rather than after a pause.
         */
        post: operations["reconcileVm"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Follow the changes
         * @description An endless answer: a JSON document a line, or server-sent events where `text/event-stream` is
         *     accepted. The first is `{"type":"ready","position":P,"revision":N}`. Changes are
         *     `{"type":"change",…}`. A reader who was too slow, or whose position is of an earlier run of the daemon,
         *     is told `{"type":"gap","position":P,"revision":N,"vms":[…],"tasks":[…],"images":[…],"networks":[…],"host":{…}}`:
         *     everything as it is then, in place of what was missed. Every 15 seconds there is at least an empty
         *     line.
         */
        get: operations["followEvents"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/foreign/{pid}/adopt": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Take over a machine that somebody else made
         * @description It becomes a VM that can be stopped, killed and watched, with a draft of a configuration. The VM can
         *     be started again once somebody has looked through that draft and saved it. Which machines can be
         *     adopted, and why others cannot, is in `foreign` of the host.
         */
        post: operations["adoptMachine"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/host": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Read the host */
        get: operations["getHost"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/images": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List images
         * @description One with a `problem` is damaged: it can be removed, and nothing can be made of it.
         */
        get: operations["listImages"];
        put?: never;
        /**
         * Import an image, or make one of a VM's disk
         * @description A VM whose disk is taken must be stopped when its turn comes, not suspended (409 `wrong-state`); until
         *     the disk is read, what is asked of the VM waits. The image's `lineage` says what it comes from.
         *
         *     What can be seen to be wrong without bringing anything in (what goes with what, a file that is not
         *     there or is no such image, an address that is none) is refused at once; the rest fails in the task.
         */
        post: operations["addImage"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/images/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Read an image */
        get: operations["getImage"];
        put?: never;
        post?: never;
        /** Remove an image */
        delete: operations["removeImage"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/images/{name}/file": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Download an image
         * @description As it is stored; of a kernel, the kernel without its initrd. `ETag` is the SHA-256 of all of it in
         *     hexadecimal digits, and so is `Repr-Digest`. What broke off can be gone on with by `Range`.
         */
        get: operations["downloadImage"];
        /**
         * Upload an image
         * @description The body is the file, or the rest of it from `offset` on. When all of it has arrived, it is imported:
         *     the answer is that task's. What broke off is kept for a day, is never an image, and can be gone on
         *     with: `HEAD` says from where. It is known by its name and its SHA-256.
         */
        put: operations["uploadImage"];
        post?: never;
        delete?: never;
        options?: never;
        /**
         * How much of an upload has arrived
         * @description In `Upload-Offset`, in bytes; 0 for one that nobody has begun. Without `sha256`, the head of a
         *     download.
         */
        head: operations["findImageUpload"];
        patch?: never;
        trace?: never;
    };
    "/v1/imports": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Import a VM
         * @description The body is what an export has written. When all of it has arrived and was found to be sound, a VM is
         *     made of it: the answer is that task's. What breaks off is thrown away. A VM for which the project has no room is
         *     refused when the file has said what it is, which is at its beginning.
         *
         *     With `dry_run` the file has to be sent, too: it says what would be made. It is looked through, and thrown away.
         */
        post: operations["importVm"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/networks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List networks
         * @description Oldest first, all of one revision. What a subnet keeps is counted; `/v1/subnets/{id}/reservations`
         *     lists it.
         */
        get: operations["listNetworks"];
        put?: never;
        /**
         * Create a network
         * @description On a bridge that Innkeeper makes, or on one of the host's that it joins, never changes and never
         *     deletes.
         */
        post: operations["createNetwork"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/networks/{network}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read a network
         * @description Its entity tag is the revision of its record: it does not change with its facts.
         */
        get: operations["getNetwork"];
        /**
         * Replace a network's configuration
         * @description At once, for the guests that are on it. Its subnets have routes of their own.
         */
        put: operations["replaceNetwork"];
        post?: never;
        /**
         * Delete a network that no VM is on, and its subnets
         * @description A bridge that was joined stays as it is; one that Innkeeper made goes.
         */
        delete: operations["deleteNetwork"];
        options?: never;
        head?: never;
        /**
         * Change a network's configuration
         * @description A JSON Merge Patch (RFC 7396): members are replaced or merged, and removed by `null`. At once, for the
         *     guests that are on it.
         */
        patch: operations["changeNetwork"];
        trace?: never;
    };
    "/v1/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Read this document */
        get: operations["getOpenApi"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/projects": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List projects
         * @description Those that have taken something, or of which something is said by name, with what each may take and has
         *     taken.
         */
        get: operations["listProjects"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/projects/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read a project
         * @description Its entity tag is the revision of the quota that it has of its own: it does not change with what is taken.
         */
        get: operations["getProject"];
        /**
         * Set what a project may take
         * @description All five at once: what is `null` or left out is without bound. It outranks what the configuration says.
         *     What is over it stays as it is, and gets no more.
         */
        put: operations["replaceProjectQuota"];
        post?: never;
        /**
         * Take a project's own quota away
         * @description What the configuration says holds for it from then on. Where it has VMs that is refused, unless it is forced.
         */
        delete: operations["deleteProjectQuota"];
        options?: never;
        head?: never;
        /**
         * Change what a project may take
         * @description A JSON Merge Patch (RFC 7396) of the quota that it has now, whoever said that: what is `null` is without
         *     bound from then on, and what is left out stays.
         */
        patch: operations["changeProjectQuota"];
        trace?: never;
    };
    "/v1/sign-in": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Sign in with a wallet
         * @description The token counts for an hour, at the VMM service's door, too. It needs no other credential.
         */
        post: operations["signIn"];
        /**
         * Sign out
         * @description What a wallet's request shows is refused from then on: its session ends, or the token that it signed itself
         *     is revoked, with all that it signed under the same `jti`. What was opened with it ends.
         */
        delete: operations["signOut"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/sign-in/challenges": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Get a nonce for signing in with a wallet
         * @description It can be used once, within five minutes. It needs no credential.
         */
        post: operations["createChallenge"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/sign-in/{account}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Have what an account showed refused from now on
         * @description Its sessions end, and all that it has signed until now is revoked; with `jti`, only what it signs under that.
         *     What was opened with any of it ends. What the account signs later counts, its own tokens once they say that they
         *     were made more than 30 s later: to keep it out, take it off the configuration.
         */
        delete: operations["signAccountOut"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/subnets": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List subnets
         * @description By network, in the order they were made, with how many of their addresses are taken.
         */
        get: operations["listSubnets"];
        put?: never;
        /** Create a subnet */
        post: operations["createSubnet"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/subnets/{subnet}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Read a subnet */
        get: operations["getSubnet"];
        put?: never;
        post?: never;
        /** Delete a subnet that no guest has an address of */
        delete: operations["deleteSubnet"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/subnets/{subnet}/reservations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List what a subnet keeps */
        get: operations["listReservations"];
        put?: never;
        /**
         * Keep addresses
         * @description All of them, or none.
         */
        post: operations["reserveAddresses"];
        /**
         * Give addresses back
         * @description All of them, or none. Which ones, the body says, or `address` for those who cannot send one.
         */
        delete: operations["releaseAddresses"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/tasks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List tasks
         * @description Newest first: those that are not done, and those that were done last.
         */
        get: operations["listTasks"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/tasks/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read a task
         * @description Tasks that have ended can be read for as long as they are remembered, which is longer than they are
         *     listed.
         */
        get: operations["getTask"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/tasks/{id}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Cancel a task
         * @description It stops where it is and takes back what it has done. One that is past its point of no return
         *     (`cancellable` is false) is refused, as is one that has ended. With `Prefer: wait=N` the answer has the task
         *     when it has ended, one way or another.
         */
        post: operations["cancelTask"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/tasks/{id}/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Follow a task
         * @description A JSON document a line, or server-sent events where `text/event-stream` is accepted:
         *     `{"type":"task","position":P,"revision":N,"task":{…}}`. The first is the task as it is; then it comes
         *     whole each time it changes. The answer ends when the task has ended and its effects can be read; an
         *     answer that ends before the task does so because the daemon stops. An interrupted task has not ended:
         *     somebody may resume or undo it. Every 15 seconds there is at least an empty line.
         */
        get: operations["followTask"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/tasks/{id}/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Have an interrupted task go on
         * @description From the step at which it stopped. A task that is not interrupted is refused.
         */
        post: operations["resumeTask"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/tasks/{id}/undo": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Have an interrupted task undone
         * @description What is known of it is taken back, the last step first. A task that is not interrupted is refused.
         */
        post: operations["undoTask"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/tickets": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Get a ticket for a stream
         * @description It opens one `GET` of this path, once, within 30 s, in place of the caller's credential; what is in the query beside
         *     it is the request's. At most 128 of one caller's can wait to be used. What was opened ends when the credential does.
         */
        post: operations["createStreamTicket"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List tokens
         * @description Expired ones, too, until they are revoked.
         */
        get: operations["listTokens"];
        put?: never;
        /**
         * Issue a token
         * @description Whoever shows it is known as `token:NAME`, and may what its role may. What is stored is a digest of its
         *     text: a token that was lost is revoked, and another issued.
         */
        post: operations["createToken"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/tokens/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Revoke a token
         * @description It is refused from then on, and what its bearers follow or have opened ends within a second.
         */
        delete: operations["revokeToken"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List VMs
         * @description Oldest first, all of one revision. Unknown parameters are refused.
         */
        get: operations["listVms"];
        put?: never;
        /** Create a VM */
        post: operations["createVm"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms/{vm}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read a VM
         * @description Its entity tag is the revision of its spec: it does not change with the VM's facts.
         */
        get: operations["getVm"];
        /**
         * Replace a VM's configuration
         * @description What runs keeps running as it is until its next start.
         */
        put: operations["replaceVm"];
        post?: never;
        /**
         * Delete a VM and its disks
         * @description One that was adopted from another manager is given back to it: its machine goes on as it is, and nothing
         *     of it is removed.
         */
        delete: operations["deleteVm"];
        options?: never;
        head?: never;
        /**
         * Change a VM's configuration
         * @description A JSON Merge Patch (RFC 7396): members are replaced or merged, and removed by `null`. What runs
         *     keeps running as it is until its next start.
         */
        patch: operations["changeVm"];
        trace?: never;
    };
    "/v1/vms/{vm}/adopt": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Have a VM of another manager's driven here
         * @description A VM with `managed` and without `spec` is another manager's, such as libvirt's: it is shown, and nothing
         *     is done to it. From its adoption on it can be started, stopped, killed, paused and resumed, through its
         *     manager, whose it stays. Deleting it afterwards gives it back as it is, and removes nothing.
         */
        post: operations["adoptVm"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms/{vm}/agent": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Ask the agent in a guest
         * @description Answers within some seconds, whatever the guest does. What it says is a guest's word.
         */
        get: operations["getVmAgent"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms/{vm}/agent/freeze": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Hold the file systems of a guest still
         * @description The first line of the answer comes when they are held, the last when they go on: when the time is
         *     over, when the connection is closed, by a thaw, or when the daemon stops. Needs the agent in the guest.
         */
        post: operations["freezeVm"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms/{vm}/agent/ping": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Ask whether the agent in a guest is there
         * @description Answers within 5 s.
         */
        post: operations["pingVmAgent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms/{vm}/agent/set-time": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Set the clock of a guest
         * @description The body may be left out. Needs the agent in the guest.
         */
        post: operations["setVmTime"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms/{vm}/agent/thaw": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Let the file systems of a guest go on
         * @description Whoever holds them; it is no problem if nobody does. Needs the agent in the guest.
         */
        post: operations["thawVm"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms/{vm}/clone": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Clone a stopped VM
         * @description The copy has disks of its own.
         */
        post: operations["cloneVm"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms/{vm}/console": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Open a VM's serial console
         * @description Needs `Connection: Upgrade` and `Upgrade: innkeeper-stream`, or `Upgrade: websocket`; after 101 the
         *     connection carries the console's bytes both ways, in binary messages on a WebSocket. What the guest
         *     wrote last before comes first, at most 64 KiB. Any number may look; one types at a time, unless all
         *     who do came with `role=shared`. The header `Innkeeper-Keyboard` says `write`, or `read-only` and who
         *     types. A viewer that falls 256 KiB behind is skipped forward, and told so.
         */
        get: operations["openVmConsole"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms/{vm}/disks/{disk}/file": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Download a disk
         * @description As its guest reads it, raw, all layers as one; the VM has to be stopped. The VM can be started
         *     meanwhile: when the disk is written to, the answer breaks off. `ETag` is another then, and what broke
         *     off before that can be gone on with by `Range` and `If-Range`.
         */
        get: operations["downloadVmDisk"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms/{vm}/exec": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Run a program in a guest
         * @description Answers when it has ended. Needs the agent in the guest. When its caller leaves, or its time is over, it
         *     is told to end (SIGTERM), where the guest has `kill`. The whole request is at most 1 MiB.
         */
        post: operations["execInVm"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms/{vm}/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Export a VM
         * @description A tar of what it is, its disks and its UEFI variables, and the digests of all these; without its memory
         *     and its cloud-init documents. The VM has to be stopped. It can be started meanwhile: when one of its
         *     disks is written to, the answer breaks off. What broke off is asked for again from its beginning.
         */
        get: operations["exportVm"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms/{vm}/files": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read a file in a guest
         * @description Needs the agent in the guest. An answer that breaks off was not all of it.
         */
        get: operations["readVmFile"];
        /**
         * Write a file in a guest
         * @description Needs the agent in the guest. The body is the file, of any length. What the file held is gone when
         *     this begins; where it breaks off, what has arrived so far is in it.
         */
        put: operations["writeVmFile"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms/{vm}/keys": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Press keys of a VM's keyboard
         * @description Answers when the last has been let go of; a stroke takes 40 ms a key.
         */
        post: operations["pressVmKeys"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms/{vm}/kill": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * End a VM's machine at once
         * @description Never queues: it cancels what is being done to the VM.
         */
        post: operations["killVm"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms/{vm}/logs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read a VM's log
         * @description The last 64 KiB that the guest wrote to its serial console, or that its hypervisor wrote; bytes as
         *     they came, of the running machine or of the last one.
         *
         *     With `follow=true` the answer goes on with what comes, of this machine and of those that the VM has
         *     after it, and ends when the VM is deleted; an answer that breaks off does so because the daemon
         *     stops. The log is looked at four times a second, whoever has the console. Where more than 64 KiB
         *     came between two looks, the answer has a line that says so in place of what is missing. A log that
         *     repeats itself without any difference for 64 KiB looks as if nothing came.
         */
        get: operations["getVmLog"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms/{vm}/nics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Add a NIC
         * @description It is plugged into the machine, where that is on and has room for it.
         */
        post: operations["addNic"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms/{vm}/nics/{nic}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Replace a NIC
         * @description Its network, rate, published ports and cable become others at once; on `user`, published ports do at the
         *     VM's next start. Its name and hardware address stay, and so does what only another device could have:
         *     that needs another NIC.
         */
        put: operations["replaceNic"];
        post?: never;
        /**
         * Take a NIC out
         * @description Where the machine is on, its guest is asked to let go of it, and the task waits until it has.
         */
        delete: operations["removeNic"];
        options?: never;
        head?: never;
        /**
         * Change a NIC
         * @description A JSON Merge Patch (RFC 7396): members are replaced or merged, and removed by `null`. At once, as
         *     when it is replaced.
         */
        patch: operations["changeNic"];
        trace?: never;
    };
    "/v1/vms/{vm}/pause": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Hold a VM's CPUs */
        post: operations["pauseVm"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms/{vm}/reboot": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Stop a VM, then start it from its configuration as it is by then */
        post: operations["rebootVm"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms/{vm}/reset": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Press a VM's reset button */
        post: operations["resetVm"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms/{vm}/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Let a VM's CPUs go on
         * @description A suspended VM gets a machine with the memory that was kept, and goes on from there.
         */
        post: operations["resumeVm"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms/{vm}/screenshot": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Take a picture of a VM's screen */
        get: operations["getVmScreenshot"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms/{vm}/start": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Start a VM
         * @description A suspended VM's memory would be lost by it, so of such a VM this is refused; `resume` goes on
         *     from that memory.
         */
        post: operations["startVm"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms/{vm}/statistics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Read what a VM's machine has used of its host
         * @description Processor time, memory, and what its disks and NICs have moved since the machine was made, read when
         *     they are asked for. What cannot be read of a machine, such as of one that does not answer, is named in
         *     `missing`.
         */
        get: operations["getVmStatistics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms/{vm}/stop": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Stop a VM
         * @description Asks its guest to power itself off, and waits for it; if it does not, the VM is left running
         *     and the task fails. With `force`, the machine is ended at once, as `kill` does.
         */
        post: operations["stopVm"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms/{vm}/suspend": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Write a VM's memory to a file, and end its machine
         * @description `resume` goes on from there. Until then its disks are nobody's to write to.
         */
        post: operations["suspendVm"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms/{vm}/tickets": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Get a ticket for a session of a VM
         * @description It opens one WebSocket of this VM and of this kind, once, within 30 s, in place of the caller's
         *     credential and from whatever page. At most 128 of one caller's can wait to be used.
         */
        post: operations["createVmTicket"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/vms/{vm}/vnc": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Open a VM's screen
         * @description Needs `Upgrade: websocket` (what noVNC does), or `Connection: Upgrade` and `Upgrade:
         *     innkeeper-stream`; after 101 the connection carries RFB, in binary messages on a WebSocket. No
         *     password is asked for: who may connect was decided before.
         */
        get: operations["openVmScreen"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /**
         * @description What happened to it.
         * @enum {string}
         */
        Action: "create" | "modify" | "delete" | "event";
        /**
         * @description The address of an Ethereum account: who a wallet's caller is. Two are the same if their 20 bytes are,
         *     however they were written.
         *
         *     It is written with the capitals of its checksum (EIP-55). It is read in lower case, in upper case, or
         *     with the right capitals.
         */
        Address: string;
        /**
         * @description How an address is known; the later the stronger.
         * @enum {string}
         */
        AddressSource: "agent" | "reservation" | "lease";
        /** @description How a machine is taken over. */
        Adoption: {
            name?: components["schemas"]["VmName"] | null;
        };
        /** @description An image that another comes from. */
        Ancestor: {
            /** @description Its name. */
            name: components["schemas"]["ImageName"];
            /** @description `sha256:` and the digest of its file. */
            digest: string;
        };
        /**
         * @description What Innkeeper chose when a VM or a device was added. It never changes while the device exists,
         *     since a guest knows its devices by it.
         */
        Assigned: {
            /** @description The machine type with its version. */
            machine: string;
            /** @description The CPU model. */
            cpu_model: string;
            /**
             * Format: int32
             * @description The user id that the hypervisor process runs as; absent where the daemon is not root.
             */
            uid?: number | null;
            /** @description Where each device sits, by the device's key: `disk/NAME`, `nic/NAME`, or its kind. */
            devices: {
                [key: string]: components["schemas"]["Placement"];
            };
            /**
             * Format: int32
             * @description How many hotplug ports the machine has, taken and spare.
             */
            ports: number;
            /** @description The hardware address of each interface, by its name. */
            macs?: {
                [key: string]: components["schemas"]["MacAddress"];
            };
            /** @description The addresses that each interface's guest gets, by its name; at most one of each IP version. */
            addresses?: {
                [key: string]: string[];
            };
            /** @description The serial number of each disk, by its name. */
            serials?: {
                [key: string]: string;
            };
        };
        /** @description How the audit is. */
        AuditDiagnosis: {
            /**
             * Format: int64
             * @description Lines written since the daemon started.
             */
            written: number;
            /**
             * Format: int64
             * @description Lines lost since then: they could not be written, or came faster than they could be.
             */
            lost: number;
            /**
             * Format: int64
             * @description Lines that wait to be written.
             */
            waiting: number;
            /**
             * Format: int64
             * @description Lines that an earlier daemon was killed in the middle of, found at this one's start.
             */
            torn: number;
            /**
             * Format: int64
             * @description Its files.
             */
            files: number;
            /** @description What they take of the disk. */
            size: components["schemas"]["ByteSize"];
            /** @description Why the last of it could not be written; absent while it can. */
            problem?: string | null;
        };
        /** @description One line of the audit. */
        AuditEntry: {
            /**
             * Format: date-time
             * @description When.
             */
            at: string;
            /** @description Who, as far as they showed it: `uid:0`, `token`; absent where they showed nothing that holds. */
            caller?: string | null;
            /** @description By which entrance they came: `unix`, `tcp`, or the name of a door. */
            door?: string | null;
            /** @description From which address, where they came over TCP. */
            address?: string | null;
            /** @description Their own name for the request, or the one that it was given. */
            request_id?: string | null;
            /** @description What they asked for: `start`, `console`, `task-cancel`; of what a gate refused, the method and path. */
            action: string;
            /** @description The name of what it was to be done to, as it was then. */
            subject?: string | null;
            vm?: components["schemas"]["VmId"] | null;
            task?: components["schemas"]["TaskId"] | null;
            /** @description How it ended. */
            outcome: components["schemas"]["AuditOutcome"];
            code?: components["schemas"]["Code"] | null;
            /** @description What happened, in a sentence. */
            message?: string | null;
            /**
             * Format: int64
             * @description How many such there were, where this line stands for more than one.
             */
            count?: number | null;
            /** @description Whether it was only asked what it would come to. */
            dry_run?: boolean;
        };
        /** @description Lines of the audit, in the order in which they were written. */
        AuditList: {
            /** @description The lines. */
            items: components["schemas"]["AuditEntry"][];
            /** @description What to give as `after` for the next page; absent on the last. */
            next?: string | null;
            /** @description What to give as `after` for what comes later. */
            place: string;
            /**
             * Format: int64
             * @description Lines that cannot be read, since a kill cut them short or they were damaged later; they are left out.
             */
            unreadable: number;
        };
        /**
         * @description How something ended, as far as it had when its line was written.
         * @enum {string}
         */
        AuditOutcome: "accepted" | "done" | "failed" | "cancelled" | "interrupted" | "refused" | "opened" | "lost";
        /** @description The authority of this host. */
        AuthorityDocument: {
            /**
             * @description Its certificates, in PEM: what to trust when calling it. While one authority is followed by the next, there are
             *     two.
             */
            pem: string;
        };
        /**
         * @description Whether a VM is started again after the host was.
         * @enum {string}
         */
        Autostart: "auto" | "never";
        /** @description What a VM boots from. */
        Boot: {
            /** @description Firmware, which looks for a system on the disks in their order. */
            firmware: components["schemas"]["Firmware"];
        } | {
            /** @description A Linux kernel, put into memory by the hypervisor. */
            kernel: components["schemas"]["KernelBoot"];
        };
        /** @description The session of a browser, as its pages are told of it. The cookie itself is for no script. */
        BrowserSessionDocument: {
            /** @description What to send as `Innkeeper-CSRF` with whatever changes something. */
            csrf: components["schemas"]["Secret"];
            /**
             * Format: date-time
             * @description Until when it lasts at the most: twelve hours, and no longer than what was shown for it.
             */
            expires: string;
            /** @description Who its requests are of, as tasks and logs know it. */
            caller: string;
            /** @description What they may do. */
            role: components["schemas"]["Role"];
            project?: components["schemas"]["ProjectName"] | null;
        };
        /**
         * @description A number of bytes. Written as text with a binary unit, `"10GiB"`; the largest unit that divides
         *     it is used, so that writing and reading back is exact.
         * @example 10GiB
         */
        ByteSize: string;
        /** @description Certificates, by name. */
        CertificateList: {
            /** @description The certificates; at most 1024. */
            items: components["schemas"]["ShownCertificate"][];
        };
        /** @description A nonce for a message. */
        ChallengeDocument: {
            /** @description 32 letters and digits, to be used once. */
            nonce: string;
            /**
             * Format: date-time
             * @description Until when.
             */
            expires: string;
        };
        /** @description One change. */
        Change: {
            /** @description Where in the feed it stands. */
            position: string;
            /** @description The view's revision that it made. */
            revision: components["schemas"]["Revision"];
            /**
             * Format: date-time
             * @description When it was applied.
             */
            time: string;
            /** @description What kind of thing changed. */
            kind: components["schemas"]["ResourceKind"];
            /** @description What happened to it. */
            action: components["schemas"]["Action"];
            /** @description The thing's id, or an image's name. */
            id: string;
            /** @description The thing's name, where it has one. */
            name?: string | null;
            /** @description What changed in it. */
            changes?: components["schemas"]["FieldChange"][];
            event?: components["schemas"]["HypervisorEvent"] | null;
            /** @description The whole thing, when it came to be. */
            object?: Record<string, unknown> | null;
        };
        /** @description A clock to set. */
        Clock: {
            /**
             * Format: date-time
             * @description The time to set it to; the host's own where nothing is said.
             */
            time?: string | null;
        };
        /** @description How a copy is to differ. */
        Clone: {
            /** @description Its name. */
            name: components["schemas"]["VmName"];
        };
        /** @description The three documents of a NoCloud seed. They are secrets: shown as digests only. */
        CloudInit: {
            user_data?: components["schemas"]["Secret"] | null;
            meta_data?: components["schemas"]["Secret"] | null;
            network_config?: components["schemas"]["Secret"] | null;
        };
        /**
         * @description The stable code of a refusal. Programs match on it; its text never changes its meaning.
         * @enum {string}
         */
        Code: "bad-request" | "invalid-field" | "unauthenticated" | "forbidden" | "not-found" | "method-not-allowed" | "name-taken" | "ambiguous-name" | "wrong-state" | "revision-conflict" | "in-use" | "protected" | "idempotency-conflict" | "too-large" | "out-of-capacity" | "out-of-space" | "disk-failed" | "unsupported" | "missing-program" | "managed-elsewhere" | "quarantined" | "interrupted" | "leftovers" | "outcome-unknown" | "hook-failed" | "incompatible-memory" | "hypervisor-failed" | "too-many-requests" | "timeout" | "cancelled" | "shutting-down" | "internal";
        /** @description So many addresses, whichever are free. */
        CountOfReservations: {
            /** @description How many, from 1 to 65536. */
            count: number;
            name?: components["schemas"]["NetworkName"] | null;
        };
        /** @description A token that was made. */
        CreatedToken: {
            /** @description What to show, as `Authorization: Bearer`. It is told this once. */
            text: string;
            /** @description The token. */
            token: components["schemas"]["ShownCredential"];
        };
        /**
         * @description Whether a credential opens anything.
         * @enum {string}
         */
        CredentialState: "valid" | "expired" | "revoked";
        /** @description The name of a disk or NIC, unique in its VM. */
        DeviceName: string;
        /**
         * @description Whether guests of a network are answered.
         * @enum {string}
         */
        DhcpState: "running" | "down";
        /** @description Everything that is going on, and everything that is wrong, at one moment. */
        Diagnosis: {
            /**
             * Format: date-time
             * @description When it was taken.
             */
            at: string;
            /** @description Innkeeper's version. */
            version: string;
            /** @description Who waits for what, and who has it. */
            queues: components["schemas"]["QueueDiagnosis"][];
            /** @description The tasks that have not ended. */
            tasks: components["schemas"]["TaskDiagnosis"][];
            /** @description What tasks that have ended left behind, tried again by and by. */
            owed: components["schemas"]["OwedDiagnosis"][];
            /** @description The journal. */
            journal: components["schemas"]["JournalDiagnosis"];
            /** @description The stored specs. */
            specs: components["schemas"]["SpecsDiagnosis"];
            audit?: components["schemas"]["AuditDiagnosis"] | null;
            /** @description Who reads the feed. */
            feed: components["schemas"]["FeedDiagnosis"];
            /** @description Streams that are open to something in a machine, and files that go and come. */
            sessions: components["schemas"]["SessionDiagnosis"][];
            /** @description What operators did by hand, newest first; the last [`MAX_INTERVENTIONS`]. */
            interventions: components["schemas"]["Intervention"][];
            /** @description What the host has given to VMs. */
            usage: components["schemas"]["UsageDiagnosis"];
            /** @description VMs with something wrong. */
            problems: components["schemas"]["VmProblem"][];
            /** @description The tasks that failed last, newest first. */
            failures: components["schemas"]["Failure"][];
            /** @description The hypervisors, the daemon's own first. */
            drivers: components["schemas"]["DriverDiagnosis"][];
            /** @description How much of everything there is. */
            sizes: components["schemas"]["Sizes"];
        };
        /**
         * @description A disk or CD-ROM. Exactly one of `image`, `path` and `size` says what is on it: a copy-on-write
         *     copy of an image (with `size`: grown to it), a host file in an allowed folder, or nothing yet.
         */
        Disk: {
            /** @description The disk's name in this VM. */
            name: components["schemas"]["DeviceName"];
            image?: components["schemas"]["ImageName"] | null;
            /** @description The host file that it is. */
            path?: string | null;
            format?: components["schemas"]["DiskFormat"] | null;
            size?: components["schemas"]["ByteSize"] | null;
            /** @description Disk or CD-ROM. */
            kind?: components["schemas"]["DiskKind"];
            bus?: components["schemas"]["DiskBus"] | null;
            /** @description The guest may not write to it. A CD-ROM never can. */
            read_only?: boolean;
            /** @description The serial number that the guest sees. Default: one that Innkeeper chooses. */
            serial?: string | null;
        };
        /**
         * @description How a disk is attached.
         * @enum {string}
         */
        DiskBus: "virtio-blk" | "virtio-scsi" | "sata";
        /** @description What a disk is, as its file says. */
        DiskFacts: {
            /** @description The disk's name. */
            name: components["schemas"]["DeviceName"];
            /** @description What its guest sees. */
            virtual_size: components["schemas"]["ByteSize"];
            /** @description What its file takes of the host's disk. */
            allocated: components["schemas"]["ByteSize"];
        };
        /**
         * @description The format of a disk's file. Declared or detected once at import, then stored, and never looked
         *     for again: otherwise a guest that writes a qcow2 header into its raw disk reads the host's files.
         * @enum {string}
         */
        DiskFormat: "raw" | "qcow2";
        /**
         * @description What a disk pretends to be.
         * @enum {string}
         */
        DiskKind: "disk" | "cdrom";
        /** @description The figures of a disk. */
        DiskStatistics: {
            /** @description The disk's name; of a machine that was adopted, what its hypervisor calls it. */
            name: string;
            /**
             * Format: int64
             * @description Bytes that the guest has read.
             */
            read_bytes: number;
            /**
             * Format: int64
             * @description Bytes that it has written.
             */
            written_bytes: number;
            /**
             * Format: int64
             * @description How often it has read.
             */
            reads: number;
            /**
             * Format: int64
             * @description How often it has written.
             */
            writes: number;
        };
        /**
         * @description The screen of a VM.
         * @enum {string}
         */
        Display: "vnc" | "none";
        /** @description What was done; or, with `dry_run`, what it would come to. */
        DoneOrPlanned: components["schemas"]["Outcome"] | components["schemas"]["PlannedOperation"];
        /** @description A hypervisor, as its driver sees it. */
        DriverDiagnosis: {
            /** @description The driver's name. */
            name: string;
            /** @description The hypervisor's version, once it has been asked. */
            version?: string | null;
            /** @description How many machines it keeps. */
            machines: number;
            /** @description How many control connections to them, or to their manager, it has. */
            connections: number;
            last_error?: components["schemas"]["DriverError"] | null;
        };
        /** @description Something that a driver could not do. */
        DriverError: {
            /**
             * Format: date-time
             * @description When.
             */
            at: string;
            vm?: components["schemas"]["VmId"] | null;
            /** @description What, and why not. */
            error: string;
        };
        /** @description Why a machine ended. */
        EndReason: {
            /** @enum {string} */
            reason: "guest_shutdown";
        } | {
            /** @enum {string} */
            reason: "guest_panic";
        } | {
            /** @enum {string} */
            reason: "guest_reset";
        } | {
            /** @enum {string} */
            reason: "killed";
        } | {
            /** @description The exit status or signal, where it could be known. */
            status?: string | null;
            /** @enum {string} */
            reason: "hypervisor_died";
        };
        /** @description A program that has ended. */
        Ended: {
            /**
             * Format: int64
             * @description What it ended with; absent where a signal ended it.
             */
            exit_code?: number | null;
            /**
             * Format: int64
             * @description The signal that ended it.
             */
            signal?: number | null;
            /** @description What it wrote, in base64. */
            stdout: string;
            /** @description What it wrote to its standard error, in base64. */
            stderr: string;
            /** @description Whether some of what it wrote was lost: an agent keeps 16 MiB. */
            truncated: boolean;
        };
        /** @description What a hypervisor says of one machine. */
        Facts: {
            /** @description Whether it runs. */
            machine: components["schemas"]["MachineState"];
            last_end?: components["schemas"]["EndReason"] | null;
            /**
             * Format: date-time
             * @description When the machine's state last changed.
             */
            since?: string | null;
            /**
             * Format: int32
             * @description How often the machine was reset in place during this run.
             */
            resets?: number;
        };
        /** @description A task that failed. */
        Failure: {
            /** @description The task. */
            task: components["schemas"]["TaskId"];
            /** @description What it did. */
            operation: string;
            /** @description The name of what it was done to. */
            subject: string;
            /**
             * Format: date-time
             * @description When it failed.
             */
            at?: string | null;
            /** @description Why. */
            error: string;
        };
        /** @description The feed and its readers. */
        FeedDiagnosis: {
            /** @description Changes that are kept. */
            changes: number;
            /** @description What they take of memory, in bytes. */
            change_bytes: number;
            /** @description Readers. */
            readers: number;
            /**
             * Format: int64
             * @description How many changes the slowest reader is behind.
             */
            slowest_lag: number;
            /** @description The readers that are furthest behind, those first; at most [`MAX_READERS`]. */
            reading?: components["schemas"]["ReaderDiagnosis"][];
        };
        /** @description One field that changed. */
        FieldChange: {
            /** @description Where, from the top: `["facts", "machine"]`. Array elements are named by their index. */
            path: string[];
            /** @description What stood there; absent where nothing did. */
            old?: Record<string, unknown> | null;
            /** @description What stands there now; absent where nothing does. */
            new?: Record<string, unknown> | null;
        };
        /**
         * @description The kind of firmware.
         * @enum {string}
         */
        Firmware: "bios" | "uefi";
        /**
         * @description A machine that somebody else made. It is shown and never touched, unless it is adopted by
         *     explicit word.
         */
        Foreign: {
            /** @description The driver that recognised it. */
            driver: string;
            /** @description Its process. */
            process: components["schemas"]["ProcessIdentity"];
            /** @description The name in its command line, where it has one. */
            name?: string | null;
            /**
             * Format: int32
             * @description The user that it runs as.
             */
            uid: number;
            /** @description Who manages it, where that can be told: `libvirt`, `incus`, `proxmox`. */
            manager?: string | null;
            /**
             * Format: int32
             * @description Virtual CPUs, where its command line says.
             */
            cpus?: number | null;
            memory?: components["schemas"]["Mebibytes"] | null;
            /** @description The socket that it can be managed through, where it listens on one. */
            socket?: string | null;
            /** @description Why it cannot be adopted; absent where it can. */
            not_adoptable?: string | null;
        };
        /** @description How to hold a guest's file systems still. */
        Freeze: {
            /**
             * Format: int64
             * @description For how long at most, in seconds; 30 where nothing is said.
             */
            timeout_s?: number | null;
        };
        /** @description One line of the answer: first that they are held, last that they go on. */
        FreezeNotice: {
            /**
             * Format: int64
             * @description How many there are.
             */
            file_systems: number;
            /**
             * Format: date-time
             * @description When they are let go on at the latest.
             */
            until: string;
            /** @enum {string} */
            state: "frozen";
        } | {
            /** @enum {string} */
            state: "thawed";
        } | {
            /** @description Why. */
            problem: string;
            /** @enum {string} */
            state: "unknown";
        };
        /** @description A disk of a VM. */
        FromDisk: {
            /** @description The VM: its name, its id, or the beginning of either. */
            vm: string;
            disk?: components["schemas"]["DeviceName"] | null;
        };
        /** @description An address of a guest, as far as Innkeeper knows. */
        GuestAddress: {
            nic?: components["schemas"]["DeviceName"] | null;
            /** @description The address. */
            address: string;
            /** @description How it is known. */
            source: components["schemas"]["AddressSource"];
        };
        /** @description An agent, and the guest that it is in, by its own words. */
        GuestAgent: {
            /** @description The agent. */
            agent: components["schemas"]["GuestInfo"];
            system?: components["schemas"]["OsInfo"] | null;
            /** @description Its network interfaces, where the agent can tell. */
            interfaces: components["schemas"]["Interface"][];
        };
        /** @description An agent, as it describes itself. */
        GuestInfo: {
            /** @description Its version. */
            version?: string;
            /** @description What can be asked of it now. */
            commands?: string[];
        };
        /** @description A guest, as its agent describes it while its machine runs. It is the guest's word, and no more. */
        GuestSystem: {
            /** @description The name that it gives itself; at most 255 bytes. */
            hostname?: string | null;
            /** @description The name and version of its system; at most 255 bytes. */
            os?: string | null;
            /** @description The release of its kernel; at most 255 bytes. */
            kernel?: string | null;
        };
        /** @description One host. */
        Host: {
            /**
             * Format: uuid
             * @description Its id, the same after each start; absent until somebody has described it.
             */
            id?: string | null;
            /** @description Its name. */
            name: string;
            /** @description Innkeeper's version. */
            version: string;
            /**
             * Format: date-time
             * @description When the daemon started.
             */
            started?: string | null;
            /**
             * Format: int32
             * @description The daemon's process id.
             */
            pid: number;
            /**
             * Format: int32
             * @description CPUs.
             */
            cpus: number;
            /** @description Memory. */
            memory: components["schemas"]["Mebibytes"];
            /** @description The host's kernel. */
            kernel: string;
            hypervisor?: components["schemas"]["Hypervisor"] | null;
            /** @description What stands between a guest and this host. */
            confinement: components["schemas"]["Safeguard"][];
            /** @description Machines on this host that are not Innkeeper's. */
            foreign?: components["schemas"]["Foreign"][];
            /** @description Other managers of machines on this host that the daemon was told of, once it has asked them. */
            managers?: components["schemas"]["Manager"][];
            /** @description The view's revision at its last change. */
            revision?: components["schemas"]["Revision"];
        };
        /** @description A hypervisor, as its driver found it. */
        Hypervisor: {
            /** @description The driver's name. */
            driver: string;
            /** @description The hypervisor's version. */
            version: string;
            /** @description The program. */
            program: string;
            /** @description What runs guests' instructions: `kvm` or `tcg`. */
            accelerator: string;
            /** @description Why it is that one. */
            accelerator_reason: string;
            /** @description The machine type that a new VM gets. */
            default_machine: string;
            /** @description The CPU model that a new VM gets. */
            default_cpu_model: string;
            /** @description The machine types it knows, newest first. */
            machines: string[];
            uefi?: components["schemas"]["UefiFirmware"] | null;
        };
        /** @description Something that a hypervisor reported, in its own words. */
        HypervisorEvent: {
            /** @description The event's name, such as `RESET`. */
            name: string;
            /**
             * Format: date-time
             * @description When it happened, by the hypervisor's word; absent where it does not say. A change's own
             *     time is when the view applied it, a little later.
             */
            at?: string | null;
            /** @description What came with it. */
            data?: Record<string, unknown>;
        };
        /** @description One image, as stored and shown. */
        Image: {
            /** @description Its name. */
            name: components["schemas"]["ImageName"];
            /** @description What it is for. */
            kind: components["schemas"]["ImageKind"];
            /** @description Its file's format; raw for kernels and CD-ROMs. */
            format: components["schemas"]["DiskFormat"];
            /** @description The bytes it takes on the host. */
            size: components["schemas"]["ByteSize"];
            /** @description The size of the disk that a guest sees. */
            virtual_size: components["schemas"]["ByteSize"];
            /** @description `sha256:` and the digest of its file. */
            digest: string;
            /** @description Whether a kernel brings an initrd. */
            initrd?: boolean;
            /** @description Where it was imported from. */
            source: string;
            lineage?: components["schemas"]["Lineage"] | null;
            /**
             * Format: date-time
             * @description When it was imported.
             */
            created: string;
            /**
             * @description What is wrong with it, where it cannot be used: a file that is missing, damaged or not what it
             *     was. Then it can be removed and nothing else, and what the other fields say may be a guess.
             */
            problem?: string | null;
            /** @description The view's revision at its last change; zero in storage. */
            revision?: components["schemas"]["Revision"];
        };
        /**
         * @description What an image is for.
         * @enum {string}
         */
        ImageKind: "disk" | "kernel" | "iso";
        /** @description Images, by name. */
        ImageList: {
            /** @description The images. */
            items: components["schemas"]["Image"][];
            /**
             * Format: int64
             * @description The view's revision that they are of.
             */
            revision: number;
            /** @description What to give as `after` for the next page; absent on the last. */
            next?: string | null;
        };
        /** @description An image's name, unique on a host. */
        ImageName: string;
        /** @description What one running machine was built from. The next spec never edits it; hotplug does. */
        Incarnation: {
            /**
             * Format: int32
             * @description The version of this record's shape.
             */
            schema: number;
            /** @description Names this launch. */
            id: components["schemas"]["IncarnationId"];
            /** @description The VM it is a launch of. */
            vm: components["schemas"]["VmId"];
            /** @description The revision of the spec it was built from. */
            spec_revision: components["schemas"]["Revision"];
            /** @description The host's boot that it belongs to (`/proc/sys/kernel/random/boot_id`). */
            boot_id: string;
            /**
             * Format: date-time
             * @description When it was launched.
             */
            created: string;
            /** @description The driver that made it. */
            driver: string;
            /** @description The hypervisor's version. */
            hypervisor_version: string;
            /** @description The machine type. */
            machine: string;
            /** @description The CPU model. */
            cpu_model: string;
            /** @description What runs the guest's instructions: `kvm` or `tcg`. */
            accelerator: string;
            /**
             * Format: int32
             * @description Virtual CPUs.
             */
            cpus: number;
            /** @description Memory. */
            memory: components["schemas"]["Mebibytes"];
            /**
             * Format: int32
             * @description The user id it runs as, where it is not the daemon's.
             */
            uid?: number | null;
            /** @description The control group it is in. */
            cgroup?: string | null;
            /** @description The folder of its sockets and logs. */
            run_folder: string;
            /** @description The command line, program first. */
            argv: string[];
            /**
             * @description What the process found open, in the order of its descriptors; the driver's own. A machine that
             *     takes this one's memory over finds the same.
             */
            opens?: unknown;
            /**
             * @description Whether somebody else started the process, and Innkeeper took it over. Such a machine can be
             *     stopped and killed, and cannot be made again.
             */
            adopted?: boolean;
            /** @description The block node at the top of each disk, by the disk's name. */
            block_nodes: {
                [key: string]: string;
            };
            /**
             * Format: int32
             * @description How many hotplug ports it has, taken and spare; absent where nobody knows.
             */
            ports?: number | null;
            /** @description Its connections to networks of the host, in the order of its NICs. */
            plugs?: components["schemas"]["Plug"][];
            process?: components["schemas"]["ProcessIdentity"] | null;
        };
        /**
         * Format: uuid
         * @description Names one launch of one machine.
         */
        IncarnationId: string;
        /** @description A network interface, as the guest has it. */
        Interface: {
            /** @description The guest's name for it. */
            name: string;
            /** @description Its hardware address. */
            mac?: string | null;
            /** @description Its addresses. */
            addresses?: components["schemas"]["Address"][];
        };
        /** @description The name of an interface of the host. */
        InterfaceName: string;
        /** @description Something that an operator did by hand. */
        Intervention: {
            /**
             * Format: date-time
             * @description When.
             */
            at: string;
            /** @description Who. */
            caller: string;
            /** @description What. */
            what: string;
        };
        /** @description The journal. */
        JournalDiagnosis: {
            /**
             * Format: int64
             * @description Its files.
             */
            segments: number;
            /** @description What they take of the disk. */
            size: components["schemas"]["ByteSize"];
            /**
             * Format: int64
             * @description Records written since the daemon started.
             */
            records: number;
            /**
             * Format: int64
             * @description Syncs since then.
             */
            syncs: number;
            /**
             * Format: int64
             * @description Records that wait to be written.
             */
            pending: number;
            /** @description Whether no room could be set aside for what comes next. */
            low: boolean;
            /** @description Why something was last not written. */
            last_error?: string | null;
            /** @description Records that cannot be read, and whose they are. */
            damage?: string[];
        };
        /**
         * @description A kernel to boot directly: an image of kind `kernel`, or files in a folder that the operator
         *     allowed.
         */
        KernelBoot: {
            image?: components["schemas"]["ImageName"] | null;
            /** @description A kernel file on the host. */
            path?: string | null;
            /** @description An initrd file on the host, with `path`. */
            initrd?: string | null;
            /** @description The kernel's command line. */
            cmdline?: string;
        };
        /** @description What to press: keys, or a text, at most 256 strokes of either. */
        KeysToPress: {
            /** @description Strokes, one after the other; keys that are pressed together are joined: `ctrl-alt-delete`. */
            keys?: string[];
            /** @description A text, as it is typed on a US keyboard. */
            text?: string | null;
        };
        /** @description An address that a guest has taken up by DHCP. */
        Lease: {
            /** @description The address. */
            address: string;
            /** @description Who has it; absent for a DHCPv6 client, which shows another identifier. */
            mac?: string | null;
            /** @description The name it gave itself. */
            hostname?: string | null;
            /**
             * Format: date-time
             * @description Until when it holds; absent for ever.
             */
            expires?: string | null;
        };
        /**
         * @description What an image comes from that was made of a VM's disk. All of it is as it was then: the VM can have
         *     another name by now, and be gone like the image under its disk.
         */
        Lineage: {
            /** @description The VM. */
            vm: components["schemas"]["VmId"];
            /** @description Its name. */
            vm_name: components["schemas"]["VmName"];
            /** @description The disk. */
            disk: components["schemas"]["DeviceName"];
            image?: components["schemas"]["Ancestor"] | null;
            /**
             * Format: date-time
             * @description When the disk was read. The VM had no machine.
             */
            taken: string;
        };
        /** @description How much is logged. */
        Log: {
            /** @description From now on. */
            level: string;
            /** @description Until now. */
            was: string;
        };
        /**
         * @description An Ethernet hardware address of one interface.
         * @example 52:54:00:12:34:56
         */
        MacAddress: string;
        /**
         * @description The state of a machine, as its hypervisor has it.
         * @enum {string}
         */
        MachineState: "absent" | "created" | "running" | "paused" | "ended" | "unresponsive";
        /** @description A VM whose machine another manager of this host has. */
        Managed: {
            /** @description The manager's name, such as `libvirt`. */
            by: string;
            /**
             * Format: date-time
             * @description Until when what is said of it is known to be true; absent while its manager can be asked.
             */
            as_of?: string | null;
            /** @description Why its manager cannot be asked. */
            lost?: string | null;
            /** @description What it is, in its manager's words. */
            machine: components["schemas"]["ManagedMachine"];
        };
        /** @description A disk of such a machine. */
        ManagedDisk: {
            /** @description What its guest, or its manager, calls it, such as `vda`. */
            target: string;
            /**
             * @description Where its bytes are: a file, a block device, a volume (`POOL/VOLUME`) or an address; absent for an
             *     empty drive.
             */
            source?: string | null;
            size?: components["schemas"]["ByteSize"] | null;
            /** @description Whether it cannot be written to; so is every CD-ROM. */
            read_only?: boolean;
        };
        /** @description What a machine of another manager is, in that manager's words. */
        ManagedMachine: {
            /** @description Its name, exactly: it may be longer than a VM's, and hold anything. */
            name: string;
            /** @description What people call it, where the manager keeps that apart from the name. */
            title?: string | null;
            /**
             * Format: int32
             * @description Virtual CPUs: those that it has now, or would have.
             */
            cpus: number;
            /** @description Memory that it may have at most, rounded up. */
            memory: components["schemas"]["Mebibytes"];
            /** @description Its disks, in the manager's order. */
            disks?: components["schemas"]["ManagedDisk"][];
            /** @description Its network interfaces, in the manager's order. */
            nics?: components["schemas"]["ManagedNic"][];
            /** @description Whether its manager keeps it when it does not run. */
            persistent: boolean;
            /** @description Whether its manager starts it with the host. */
            autostart: boolean;
            /**
             * Format: int32
             * @description Its hypervisor's process, where it runs and has one that is known.
             */
            pid?: number | null;
            /**
             * Format: int64
             * @description Which of its runs this is, where it runs: another number each time (libvirt's `id`).
             */
            run?: number | null;
        };
        /** @description A network interface of such a machine. */
        ManagedNic: {
            /** @description Its hardware address. */
            mac: components["schemas"]["MacAddress"];
            /** @description What it is plugged into, in the manager's words: a network, or a bridge. */
            network?: string | null;
            /** @description The host's end of it, where it runs and has one. */
            interface?: string | null;
        };
        /** @description Another manager of machines on this host. */
        Manager: {
            /** @description Its name, such as `libvirt`, which is the project of its machines too. */
            name: string;
            lost?: components["schemas"]["ManagerLost"] | null;
        };
        /** @description That another manager cannot be asked. */
        ManagerLost: {
            /**
             * Format: date-time
             * @description When it was last heard of; of one that never was, when it was found that it cannot be asked.
             */
            at: string;
            /** @description Why. */
            reason: string;
            /** @description What helps. */
            hint?: string | null;
        };
        /**
         * @description A number of mebibytes (2^20 bytes); what a machine's memory is counted in. Written like
         *     [`ByteSize`].
         * @example 512MiB
         */
        Mebibytes: string;
        /**
         * @description What is known of a memory image: written beside it once it is whole. An image without this is
         *     half made and worth nothing.
         */
        MemoryImage: {
            /**
             * Format: int32
             * @description The version of this record's shape.
             */
            schema: number;
            /**
             * @description What the machine was built from whose memory it is; a machine that takes it over is built
             *     from the same.
             */
            incarnation: components["schemas"]["Incarnation"];
            /** @description How long the file is; its holes count. */
            size: components["schemas"]["ByteSize"];
            /** @description `crc64nvme:` and the checksum of the file, holes read as zeros, in hexadecimal. */
            checksum: string;
            /**
             * Format: date-time
             * @description When it was made.
             */
            created: string;
        };
        /**
         * @description What one look at the host found to be other than it should be, and put right: of this network, or of
         *     the host and so of every network on it.
         */
        Mended: {
            /**
             * Format: date-time
             * @description When.
             */
            at: string;
            /**
             * @description What was found and done, each in a sentence; at most eight, and how many more there were. No
             *     guest is named in it.
             */
            what: string[];
        };
        /** @description What a person asks of a network. */
        NetworkConfig: {
            /** @description Its name on this host; `user` and `none` mean something else to a NIC. */
            name: components["schemas"]["NetworkName"];
            /** @description Free text. */
            description?: string;
            /** @description Keys and values of the user's own. */
            labels?: {
                [key: string]: string;
            };
            bridge?: components["schemas"]["InterfaceName"] | null;
            /**
             * @description Whether guests reach the outside under the host's address. Default: on a bridge that Innkeeper
             *     makes, yes; on one that it joins, no.
             */
            nat?: boolean | null;
            /**
             * Format: int32
             * @description The 802.1Q tag that guests' frames carry on a joined bridge. Default: none.
             */
            vlan?: number | null;
            /**
             * Format: int32
             * @description The largest packet, in bytes. Default: the bridge's own, or 1500.
             */
            mtu?: number | null;
            /** @description Whether its guests are kept from each other. They still reach the gateway and the outside. */
            isolated?: boolean;
        };
        /** @description What there is of a network. */
        NetworkFacts: {
            /** @description Whether its bridge is there and up. */
            up: boolean;
            /**
             * Format: int32
             * @description The bridge's MTU in bytes; absent where there is no bridge.
             */
            mtu?: number | null;
            dhcp?: components["schemas"]["DhcpState"] | null;
            /** @description Addresses that guests have taken up, in their order. */
            leases?: components["schemas"]["Lease"][];
            /** @description What is wrong, with what to do. */
            problem?: string | null;
            mended?: components["schemas"]["Mended"] | null;
        };
        /**
         * Format: uuid
         * @description Names one network.
         */
        NetworkId: string;
        /** @description Networks, oldest first. */
        NetworkList: {
            /** @description The networks. */
            items: components["schemas"]["ShownNetwork"][];
            /**
             * Format: int64
             * @description The view's revision that they are of.
             */
            revision: number;
            /** @description What to give as `after` for the next page; absent on the last. */
            next?: string | null;
        };
        /** @description A network's name, unique on a host; a subnet's, unique in its network. */
        NetworkName: string;
        /** @description What somebody wants a certificate to be. */
        NewCertificate: {
            /** @description Its name; tasks and logs know its bearers as `cert:NAME`. */
            name: components["schemas"]["TokenName"];
            /** @description What its bearers may do. */
            role: components["schemas"]["Role"];
            project?: components["schemas"]["ProjectName"] | null;
            /**
             * Format: date-time
             * @description From when on it is refused; at most 364 days ahead. Default: 90 days.
             */
            expires?: string | null;
            /** @description Whether they have a privileged caller's room in the limits; admins do in any case. */
            privileged?: boolean;
            /**
             * @description The request for it (PKCS #10, in PEM), signed by the key that it is for. Of what it asks for, nothing but
             *     the key counts.
             */
            request?: string | null;
            /**
             * @description In place of a request: a certificate, in PEM, that an authority of `client_authorities` has signed. It is what
             *     is shown then, until its own end at the longest.
             */
            certificate?: string | null;
        };
        /**
         * @description An image to import, or to make of a VM's disk. Exactly one of `path`, `url` and `from_disk` says from
         *     where.
         */
        NewImage: {
            /** @description The name it gets. */
            name: components["schemas"]["ImageName"];
            kind?: components["schemas"]["ImageKind"] | null;
            /** @description A file on the host, by its absolute path, which the daemon can read. */
            path?: string | null;
            /** @description An `https://` or `http://` address. */
            url?: string | null;
            from_disk?: components["schemas"]["FromDisk"] | null;
            /** @description The SHA-256 that a download must have, in hexadecimal; needed with `url`, and only with it. */
            checksum?: string | null;
            format?: components["schemas"]["DiskFormat"] | null;
            /** @description A file on the host to keep with a kernel, by its absolute path. Only for a kernel. */
            initrd?: string | null;
        };
        /** @description A network to make, with the subnets that it begins with. */
        NewNetwork: {
            /** @description Its name on this host; `user` and `none` mean something else to a NIC. */
            name: components["schemas"]["NetworkName"];
            /** @description Free text. */
            description?: string;
            /** @description Keys and values of the user's own. */
            labels?: {
                [key: string]: string;
            };
            bridge?: components["schemas"]["InterfaceName"] | null;
            /**
             * @description Whether guests reach the outside under the host's address. Default: on a bridge that Innkeeper
             *     makes, yes; on one that it joins, no.
             */
            nat?: boolean | null;
            /**
             * Format: int32
             * @description The 802.1Q tag that guests' frames carry on a joined bridge. Default: none.
             */
            vlan?: number | null;
            /**
             * Format: int32
             * @description The largest packet, in bytes. Default: the bridge's own, or 1500.
             */
            mtu?: number | null;
            /** @description Whether its guests are kept from each other. They still reach the gateway and the outside. */
            isolated?: boolean;
            /** @description The ranges of addresses that it begins with. */
            subnets?: components["schemas"]["SubnetConfig"][];
        };
        /** @description An address to keep. */
        NewReservation: {
            /** @description Which. Default: one that is free. */
            address?: string | null;
            /** @description Who gets it by DHCP. Default: nobody. */
            mac?: string | null;
            name?: components["schemas"]["NetworkName"] | null;
        };
        /** @description Addresses to keep: a list of them, or a number. */
        NewReservations: components["schemas"]["NewReservation"][] | components["schemas"]["CountOfReservations"];
        /** @description A subnet to make. */
        NewSubnet: {
            name?: components["schemas"]["NetworkName"] | null;
            /**
             * @description Its addresses, such as `10.87.0.0/24` or `fd00:87::/64`.
             * @example 10.87.0.0/24
             */
            range: string;
            /**
             * @description The router's address, which is the host's own on a bridge that Innkeeper made. Default: the first
             *     of the range.
             */
            gateway?: string | null;
            /** @description The name servers that guests are told. Default: the gateway, which asks the host's. */
            dns?: string[];
            /**
             * @description Whether Innkeeper answers DHCP (and, for IPv6, router solicitations) there. Default: on a bridge that
             *     Innkeeper made, yes; on one that it joined, no.
             */
            dhcp?: boolean | null;
            /** @description The network that it is on: its id or name. */
            network: string;
        };
        /** @description What somebody wants a token to be. */
        NewToken: {
            /** @description Its name; tasks and logs know its bearers as `token:NAME`. */
            name: components["schemas"]["TokenName"];
            /** @description What its bearers may do. */
            role: components["schemas"]["Role"];
            project?: components["schemas"]["ProjectName"] | null;
            /**
             * Format: date-time
             * @description From when on it is refused. Default: it does not expire.
             */
            expires?: string | null;
            /** @description Whether they have a privileged caller's room in the limits; admins do in any case. */
            privileged?: boolean;
        };
        /** @description A network interface. */
        Nic: {
            /** @description The interface's name in this VM. */
            name: components["schemas"]["DeviceName"];
            /**
             * @description What it is connected to.
             * @default user
             * @example default
             */
            network: string;
            mac?: components["schemas"]["MacAddress"] | null;
            /**
             * @description The addresses that its guest gets on a network with subnets, at most one of each IP version. Default:
             *     one of each subnet, which Innkeeper chooses, and keeps.
             */
            addresses?: string[];
            /**
             * @description Ports of the host that lead to ports of the guest.
             * @example [
             *       "8080:80/tcp"
             *     ]
             */
            publish?: string[];
            /** @description How much may go through. Default: as much as there is. */
            rate?: components["schemas"]["RateLimit"];
            /** @description Whether its cable is plugged in. */
            connected?: boolean;
        };
        /** @description The figures of a NIC, as its guest sees them. */
        NicStatistics: {
            /** @description The host's interface that it is connected to. */
            interface: string;
            /**
             * Format: int64
             * @description Bytes that the guest has received.
             */
            received_bytes: number;
            /**
             * Format: int64
             * @description Bytes that it has sent.
             */
            sent_bytes: number;
            /**
             * Format: int64
             * @description Packets that it has received.
             */
            received_packets: number;
            /**
             * Format: int64
             * @description Packets that it has sent.
             */
            sent_packets: number;
        };
        /** @description A guest's system, as it describes itself. */
        OsInfo: {
            /** @description Its name and version, for people. */
            pretty_name?: string | null;
            /** @description Its short name, such as `debian`. */
            id?: string | null;
            /** @description The release of its kernel. */
            kernel_release?: string | null;
        };
        /** @description What was accepted, or done: the answer to everything that changes something. */
        Outcome: {
            /** @description The task that does it, or did it. */
            task: components["schemas"]["Task"];
            vm?: components["schemas"]["Vm"] | null;
            image?: components["schemas"]["Image"] | null;
            network?: components["schemas"]["ShownNetwork"] | null;
        };
        /** @description What a task left behind. */
        OwedDiagnosis: {
            /** @description The task. */
            task: components["schemas"]["TaskId"];
            /** @description What it did. */
            operation: string;
            vm?: components["schemas"]["VmId"] | null;
            /** @description What is left, and why. */
            leftovers: string[];
        };
        /** @description Where a device sits in the machine. */
        Placement: {
            /**
             * Format: int32
             * @description A slot of the root PCI bus; fixed for the machine's life.
             */
            root: number;
        } | {
            /**
             * Format: int32
             * @description A hotplug port, by its number.
             */
            port: number;
        } | {
            /**
             * Format: int32
             * @description A target of the virtio SCSI controller.
             */
            scsi: number;
        } | {
            /**
             * Format: int32
             * @description A port of the chipset's SATA controller.
             */
            sata: number;
        };
        /** @description What an operation would come to: its plan, printed. */
        PlannedOperation: {
            /** @description What would be done. */
            operation: string;
            /** @description Which way it would go after a crash of the daemon: `forward` or `back`. */
            after_crash: string;
            /** @description The steps, in order. */
            steps: components["schemas"]["PlannedStep"][];
        };
        /** @description One step of a plan, printed. */
        PlannedStep: {
            /** @description Its path. */
            path: string;
            /**
             * Format: int32
             * @description The part of the plan that it is in: steps of one part are done at the same time.
             */
            part: number;
            /** @description What can be known of it after a crash: `probe`, `repeat` or `once`. */
            crash: string;
            /**
             * @description Whether there is a way back from it: before the first step that has none, everything can be
             *     cancelled and undone.
             */
            way_back: boolean;
        };
        /**
         * @description A NIC's connection to a network: all that the host has to know of it. It stands in the incarnation of
         *     a machine that has it.
         */
        Plug: {
            /** @description The VM. */
            vm: components["schemas"]["VmId"];
            /** @description Its NIC. */
            nic: components["schemas"]["DeviceName"];
            /** @description The network. */
            network: components["schemas"]["NetworkId"];
            /** @description The host's end of the cable. */
            tap: components["schemas"]["InterfaceName"];
            /** @description The one hardware address that its guest may send from. */
            mac: components["schemas"]["MacAddress"];
            /**
             * @description The addresses that its guest may send from, and gets by DHCP; at most one of each IP version.
             *     Only on a network without subnets may a guest take what it likes.
             */
            addresses?: string[];
            /** @description Ports of the host that lead to ports of the guest. */
            publish?: string[];
            /** @description How much may go through. */
            rate?: components["schemas"]["RateLimit"];
            /**
             * Format: int32
             * @description The largest packet, in bytes, that the guest is told; absent for Ethernet's own, 1500.
             */
            mtu?: number | null;
            /** @description What the guest is called in DHCP and DNS: a host name without dots. */
            hostname: string;
        };
        /** @description The policies of one VM. */
        Policies: {
            /**
             * @description When the guest's kernel panics, or the hypervisor's process dies. Of a process that died
             *     nothing can be kept, so `pause` and `preserve` leave the VM stopped then.
             */
            crash?: components["schemas"]["Policy"];
            /** @description When the guest reboots. `restart` resets the machine in place. */
            reboot?: components["schemas"]["Policy"];
            /** @description When the guest powers itself off. */
            shutdown?: components["schemas"]["Policy"];
        };
        /**
         * @description What to do when a guest has crashed, rebooted or shut itself down.
         * @enum {string}
         */
        Policy: "restart" | "stop" | "pause" | "preserve";
        /** @description The room in a pool. */
        PoolDiagnosis: {
            /**
             * Format: date-time
             * @description When it was looked at: a diagnosis waits for no disk.
             */
            at: string;
            /** @description Its folder. */
            folder: string;
            /** @description The size of its file system. */
            size: components["schemas"]["ByteSize"];
            /** @description What was left of that then. */
            free: components["schemas"]["ByteSize"];
            /** @description What of that is promised to what is on its way, by now. */
            promised: components["schemas"]["ByteSize"];
        };
        /** @description A problem document (RFC 9457), `application/problem+json`. */
        Problem: {
            /**
             * @description `urn:innkeeper:error:` and the code.
             * @example urn:innkeeper:error:invalid-field
             */
            type: string;
            /** @description What kind of problem this is, in a few words. */
            title: string;
            /**
             * Format: int32
             * @description The HTTP status.
             */
            status: number;
            /** @description What happened, in a sentence. */
            detail: string;
            /** @description The stable code for programs. */
            code: components["schemas"]["Code"];
            /** @description The field at fault, as a path: `disks[0].size`. */
            field?: string | null;
            /** @description The value at fault, as it was given. */
            value?: string | null;
            /** @description The bound that the value broke, or what was expected. */
            limit?: string | null;
            /** @description What the caller can do about it. */
            hint?: string | null;
            /** @description What led to it, outermost first. */
            causes?: string[];
            /** @description The request's id, as in the header `X-Request-Id`. */
            instance: string;
            task?: components["schemas"]["TaskId"] | null;
        };
        /** @description Names one process for certain: a pid alone may by now be another program's. */
        ProcessIdentity: {
            /**
             * Format: int32
             * @description The process id.
             */
            pid: number;
            /**
             * Format: int64
             * @description When it started, in clock ticks after boot (field 22 of `/proc/PID/stat`).
             */
            start_ticks: number;
        };
        /** @description A program to run. */
        Program: {
            /** @description The program, and its arguments. */
            argv: string[];
            /** @description Its whole environment, as `NAME=value`; the agent's own where nothing is said. */
            env?: string[];
            /** @description What it reads, in base64. */
            stdin?: string | null;
            /**
             * Format: int64
             * @description How long it may take, in seconds; 600 where nothing is said.
             */
            timeout_s?: number | null;
        };
        /** @description A project as it is shown. */
        Project: {
            /** @description Its name. */
            name: components["schemas"]["ProjectName"];
            /** @description Which state of its own quota this is: its entity tag. 0 where it has none of its own. */
            revision: components["schemas"]["Revision"];
            /**
             * Format: date-time
             * @description When that was changed last.
             */
            updated?: string | null;
            /** @description Who said what it may take. */
            quota_from: components["schemas"]["QuotaSource"];
            /** @description What it may take in all. */
            quota: components["schemas"]["Quota"];
            /** @description What it has taken. */
            used: components["schemas"]["Usage"];
            /** @description What of that is more than it may take: `vms`, `cpus`, `memory`, `disk`, `addresses`. */
            over: string[];
            /** @description Why it is not known what it may take, where its stored quota is damaged: nothing more is given to it. */
            problem?: string | null;
        };
        /** @description Projects, by name. */
        ProjectList: {
            /** @description The projects that have taken something, or of which something is said by name. */
            items: components["schemas"]["Project"][];
        };
        /** @description The project (tenant) that a VM belongs to. */
        ProjectName: string;
        /**
         * @description What a ticket opens.
         * @enum {string}
         */
        Purpose: "console" | "vnc";
        /** @description The queue of a VM. */
        Queue: {
            /** @description The VM. */
            vm: components["schemas"]["VmId"];
            /** @description Whether what is asked for waits. */
            paused: boolean;
        };
        /** @description A resource that is held or waited for. */
        QueueDiagnosis: {
            /** @description The resource: `vm/ID`, `image/NAME`. */
            resource: string;
            /** @description How many hold it. */
            holders: number;
            /** @description How many wait for it. */
            waiting: number;
            /** @description Whether an operator has paused it. */
            paused: boolean;
        };
        /** @description What may be taken in all; what is `null` or left out is without bound. */
        Quota: {
            /**
             * Format: int64
             * @description VMs, running or not.
             * @default null
             */
            vms: number | null;
            /**
             * Format: int64
             * @description Virtual CPUs of running VMs.
             * @default null
             */
            cpus: number | null;
            /** @default null */
            memory: components["schemas"]["Mebibytes"] | null;
            /** @default null */
            disk: components["schemas"]["ByteSize"] | null;
            /**
             * Format: int64
             * @description Addresses that networks of this host keep for NICs, of VMs that run or not.
             * @default null
             */
            addresses: number | null;
        };
        /**
         * @description Who said what a project may take.
         * @enum {string}
         */
        QuotaSource: "own" | "configuration" | "default";
        /** @description How much may go through an interface, in kilobits (1,000 bits) a second; absent is unlimited. */
        RateLimit: {
            /**
             * Format: int32
             * @description Towards the guest.
             */
            in_kbit?: number | null;
            /**
             * Format: int32
             * @description From the guest.
             */
            out_kbit?: number | null;
        };
        /** @description A reader of the feed. */
        ReaderDiagnosis: {
            /** @description Who, and what of it they follow. */
            who?: string | null;
            /**
             * Format: date-time
             * @description Since when.
             */
            since: string;
            /**
             * Format: int64
             * @description How many revisions they are behind.
             */
            lag: number;
        };
        /** @description A VM that will be looked at. */
        Reconciled: {
            /** @description The VM. */
            vm: components["schemas"]["VmId"];
        };
        /** @description A refusal or failure, as it reaches the caller: what happened, where, and what to do. */
        Refusal: {
            /** @description What kind of refusal this is. */
            code: components["schemas"]["Code"];
            /** @description One sentence for a person. */
            message: string;
            /** @description The field at fault, as a path: `disks[0].size`. */
            field?: string | null;
            /** @description The value at fault, as it was given. */
            value?: string | null;
            /** @description The bound that the value broke. */
            limit?: string | null;
            /** @description What the caller can do about it, preferably a command. */
            hint?: string | null;
            /** @description What led to it, outermost first. */
            causes?: string[];
        };
        /** @description Addresses to give back. */
        Released: {
            /** @description The addresses. */
            addresses: string[];
        };
        /** @description A request to renew a certificate. */
        Renewal: {
            /** @description The request for it (PKCS #10, in PEM), signed by the key that it is for: the same, or another one. */
            request: string;
        };
        /** @description An address that is kept from guests in general. */
        Reservation: {
            /** @description The address. */
            address: string;
            mac?: components["schemas"]["MacAddress"] | null;
            name?: components["schemas"]["NetworkName"] | null;
        };
        /** @description Reservations, in the order of their addresses. */
        ReservationList: {
            /** @description The reservations. */
            items: components["schemas"]["Reservation"][];
            /**
             * Format: int64
             * @description The view's revision that they are of.
             */
            revision: number;
            /** @description What to give as `after` for the next page; absent on the last. */
            next?: string | null;
        };
        /**
         * @description The kind of thing that changed.
         * @enum {string}
         */
        ResourceKind: "vm" | "task" | "image" | "network" | "host";
        /**
         * Format: int64
         * @description A count of the changes that the view has applied, or of the edits a spec has had.
         *
         *     Only ever grows; comparable within one epoch of one host.
         */
        Revision: number;
        /**
         * @description How much a caller may do.
         * @enum {string}
         */
        Role: "viewer" | "operator" | "owner" | "admin";
        /** @description One thing that stands between a guest and its host. */
        Safeguard: {
            /** @description What it is: `uid`, `sandbox`, `cgroup`, `loopback`. */
            name: string;
            /** @description Whether it is in force. */
            active: boolean;
            /** @description How it works here, or why it does not and what would mend that. */
            detail: string;
        };
        /**
         * @description A secret: once it is stored, all that any reader, log line or message shows of it is its digest.
         *
         *     It is read from plain text, or from the digest form that it is written as, so that a document
         *     with secrets in it can be fetched, edited and sent back without knowing them. The two places that must
         *     have the text, a file that is the daemon's alone and the answer to whoever is told it once, say so with
         *     [`as_text`]. Memory that held a text is overwritten when it is given back.
         */
        Secret: string;
        /** @description A stream that is open to something in a machine, or a file that goes or comes. */
        SessionDiagnosis: {
            vm?: components["schemas"]["VmId"] | null;
            image?: components["schemas"]["ImageName"] | null;
            /**
             * @description To what: `console`, `vnc`, `exec`, `file`, `freeze`, `disk`, `export` of a VM; `upload` and
             *     `download` of an image; `import`.
             */
            kind: string;
            /** @description Who has it. */
            caller?: string;
            /**
             * Format: date-time
             * @description Since when.
             */
            since: string;
            /** @description How many have the same thing of the same VM or image open, this one included. */
            viewers?: number;
            /**
             * Format: int64
             * @description What went to the caller, in bytes.
             */
            shown?: number;
            /**
             * Format: int64
             * @description What came from the caller, in bytes.
             */
            typed?: number;
        };
        /** @description How much to log. */
        SetLog: {
            /**
             * @description `error`, `warn`, `info`, `debug`, `trace`, or directives for parts of the program, such as
             *     `info,innkeeper_qemu=debug`.
             */
            level: string;
        };
        /** @description Whether anything may begin on a VM. */
        SetQueue: {
            /** @description Its id or name, or the beginning of either if only one begins so. */
            vm: string;
            /** @description Whether what is asked for waits. */
            paused: boolean;
        };
        /** @description A certificate of a caller, as those who answer for it see it. */
        ShownCertificate: {
            /** @description Its name. */
            name: components["schemas"]["TokenName"];
            /** @description Whether it opens anything. */
            state: components["schemas"]["CredentialState"];
            /** @description What its bearers may do. */
            role: components["schemas"]["Role"];
            project?: components["schemas"]["ProjectName"] | null;
            /** @description Whether they have a privileged caller's room in the limits. */
            privileged: boolean;
            /**
             * Format: date-time
             * @description When it was first made.
             */
            created: string;
            /** @description By whom. */
            created_by: string;
            /**
             * Format: date-time
             * @description From when on it is refused.
             */
            expires?: string | null;
            /**
             * Format: date-time
             * @description When it was last shown, to the second. After a crash it can be a minute early.
             */
            last_used?: string | null;
            /** @description Its serial number, in hexadecimal. */
            serial: string;
            /** @description The SHA-256 of the whole certificate, in hexadecimal. */
            fingerprint: string;
        };
        /**
         * @description A credential that was issued, as those who answer for it see it: everything but what is shown as it, which nobody
         *     has but its bearers.
         */
        ShownCredential: {
            /** @description Its name. */
            name: components["schemas"]["TokenName"];
            /** @description Whether it opens anything. */
            state: components["schemas"]["CredentialState"];
            /** @description What its bearers may do. */
            role: components["schemas"]["Role"];
            project?: components["schemas"]["ProjectName"] | null;
            /** @description Whether they have a privileged caller's room in the limits. */
            privileged: boolean;
            /**
             * Format: date-time
             * @description When it was first made.
             */
            created: string;
            /** @description By whom. */
            created_by: string;
            /**
             * Format: date-time
             * @description From when on it is refused.
             */
            expires?: string | null;
            /**
             * Format: date-time
             * @description When it was last shown, to the second. After a crash it can be a minute early.
             */
            last_used?: string | null;
        };
        /** @description A network: what was asked for, what was chosen for it, and what there is. */
        ShownNetwork: {
            /** @description Its id. */
            id: components["schemas"]["NetworkId"];
            /** @description Counts the changes of the record, its facts left out; what `ETag` shows and `If-Match` compares. */
            revision: components["schemas"]["Revision"];
            /**
             * Format: date-time
             * @description When it was made.
             */
            created: string;
            /**
             * Format: date-time
             * @description When its configuration last changed.
             */
            updated: string;
            /** @description What was asked for. */
            config: components["schemas"]["NetworkConfig"];
            /** @description The bridge: the joined one, or the name chosen for Innkeeper's own. */
            bridge: components["schemas"]["InterfaceName"];
            /** @description The ranges of addresses on it, in the order they were made. */
            subnets: components["schemas"]["ShownSubnet"][];
            /** @description What there is now. */
            facts?: components["schemas"]["NetworkFacts"];
        };
        /** @description A range of addresses on a network. */
        ShownSubnet: {
            /** @description Its id. */
            id: components["schemas"]["SubnetId"];
            /** @description What was asked for. */
            config: components["schemas"]["SubnetConfig"];
            /** @description How many of its addresses are kept for something other than a NIC of a VM. */
            reserved: number;
        };
        /** @description A certificate that was signed. */
        SignedCertificate: {
            /** @description What to show, with the key, in PEM. */
            pem: string;
            /** @description The certificates of this host's authority, in PEM: what to trust when calling it. */
            authority: string;
            /** @description What it stands for. */
            certificate: components["schemas"]["ShownCertificate"];
        };
        /** @description A session that was begun. */
        SignedIn: {
            /** @description What to show, as `Authorization: Bearer`. It is told this once. */
            token: string;
            /**
             * Format: date-time
             * @description Until when it counts.
             */
            expires: string;
            /** @description The account that signed. */
            account: components["schemas"]["Address"];
            /** @description What it may do. */
            role: components["schemas"]["Role"];
        };
        /** @description What a wallet signed. */
        SignedMessage: {
            /** @description The message of EIP-4361, exactly as it was signed. */
            message: string;
            /** @description What `personal_sign` made of it: `0x` and 130 hexadecimal digits. */
            signature: string;
        };
        /** @description How much of everything there is. */
        Sizes: {
            /** @description VMs in the view. */
            vms: number;
            /** @description Tasks in the view. */
            tasks: number;
            /** @description Images in the view. */
            images: number;
            /** @description The daemon's resident memory. */
            resident: components["schemas"]["ByteSize"];
            /** @description Its open files. */
            open_files: number;
            /** @description Its threads. */
            threads: number;
        };
        /** @description One VM's wish, as it is stored: a JSON file a VM. */
        Spec: {
            /** @description The VM's id. */
            id: components["schemas"]["VmId"];
            /** @description Counts the edits; what `ETag` shows and `If-Match` compares. */
            revision: components["schemas"]["Revision"];
            /**
             * Format: date-time
             * @description When the VM was created.
             */
            created: string;
            /**
             * Format: date-time
             * @description When the spec was last changed.
             */
            updated: string;
            /** @description What it should be doing. */
            want: components["schemas"]["Want"];
            /**
             * @description Whether it was drafted from a machine that was adopted, and no person has saved it since; the VM
             *     cannot be started until then.
             */
            draft?: boolean;
            /**
             * @description What drives it: the name of the manager that it was adopted from, which still has its machine;
             *     absent for the daemon's own driver.
             */
            driver?: string | null;
            /** @description What a person asked for. */
            config: components["schemas"]["VmConfig"];
            /** @description What was chosen for it. */
            assigned: components["schemas"]["Assigned"];
        };
        /** @description The stored specs. */
        SpecsDiagnosis: {
            /** @description Those that are in the journal and not yet in their files. */
            unwritten: number;
            /** @description Why files could last not be written. */
            problem?: string | null;
        };
        /** @description The figures of one machine, read at one time. */
        Statistics: {
            /**
             * Format: date-time
             * @description When they were read.
             */
            at: string;
            /**
             * Format: int64
             * @description How long processors have worked for it, its hypervisor's own work included, in milliseconds.
             */
            cpu_time_ms: number;
            /** @description How long they have run its virtual CPUs; absent where the hypervisor does not say. */
            vcpus?: components["schemas"]["VcpuStatistics"][];
            /** @description What of the host's memory it has now, its hypervisor's own included. */
            memory_resident: components["schemas"]["ByteSize"];
            /** @description What was read and written; absent where the hypervisor does not say. */
            disks?: components["schemas"]["DiskStatistics"][];
            /** @description What was sent and received, of the NICs that the host has an interface for. */
            nics?: components["schemas"]["NicStatistics"][];
            /** @description What could not be read, and why. */
            missing?: string[];
        };
        /**
         * @description How far a step has come.
         * @enum {string}
         */
        StepState: "waiting" | "running" | "done" | "failed" | "undone" | "stuck" | "unknown";
        /** @description How to stop a guest. */
        StopOptions: {
            /**
             * Format: int64
             * @description How long it may take to power itself off, in seconds; 60 where nothing is said.
             */
            timeout_s?: number | null;
            /** @description End it at once instead of asking it. */
            force?: boolean;
        };
        /** @description What a ticket is wanted for. */
        StreamTicketWish: {
            /**
             * @description The stream's path, as it will be asked for, without a query: `/v1/events`, `/v1/vms/web/logs` or
             *     `/v1/tasks/ID/events`.
             */
            path: string;
        };
        /** @description What a person asks of a subnet. */
        SubnetConfig: {
            name?: components["schemas"]["NetworkName"] | null;
            /**
             * @description Its addresses, such as `10.87.0.0/24` or `fd00:87::/64`.
             * @example 10.87.0.0/24
             */
            range: string;
            /**
             * @description The router's address, which is the host's own on a bridge that Innkeeper made. Default: the first
             *     of the range.
             */
            gateway?: string | null;
            /** @description The name servers that guests are told. Default: the gateway, which asks the host's. */
            dns?: string[];
            /**
             * @description Whether Innkeeper answers DHCP (and, for IPv6, router solicitations) there. Default: on a bridge that
             *     Innkeeper made, yes; on one that it joined, no.
             */
            dhcp?: boolean | null;
        };
        /**
         * Format: uuid
         * @description Names one subnet.
         */
        SubnetId: string;
        /** @description Subnets, by network, in the order they were made. */
        SubnetList: {
            /** @description The subnets. */
            items: components["schemas"]["SubnetRecord"][];
            /**
             * Format: int64
             * @description The view's revision that they are of.
             */
            revision: number;
            /** @description What to give as `after` for the next page; absent on the last. */
            next?: string | null;
        };
        /** @description A subnet, the network that it is on, and how much of it is taken. */
        SubnetRecord: {
            /** @description Its id. */
            id: components["schemas"]["SubnetId"];
            /** @description What was asked for. */
            config: components["schemas"]["SubnetConfig"];
            /** @description How many of its addresses are kept for something other than a NIC of a VM. */
            reserved: number;
            /** @description The network's id. */
            network: components["schemas"]["NetworkId"];
            /** @description The network's name. */
            network_name: components["schemas"]["NetworkName"];
            /**
             * Format: int64
             * @description How many addresses guests and reservations can have; 9007199254740991 stands for as many or more.
             */
            size: number;
            /** @description How many of them VMs and reservations have; of the VMs, those that the caller sees. */
            taken: number;
        };
        /** @description One deed. */
        Task: {
            /** @description Its id. */
            id: components["schemas"]["TaskId"];
            /** @description What is being done: `start`, `stop`, `image-add` and so on. */
            operation: string;
            vm?: components["schemas"]["VmId"] | null;
            project?: components["schemas"]["ProjectName"] | null;
            /** @description The name of what it is done to, as it was at the time. */
            subject: string;
            /** @description Who asked. */
            caller: string;
            /** @description The caller's own name for the request. */
            request_id?: string | null;
            /** @description How far it has come. */
            state: components["schemas"]["TaskState"];
            /** @description Whether it can still be cancelled. */
            cancellable: boolean;
            /**
             * Format: date-time
             * @description When it was accepted.
             */
            created: string;
            /**
             * Format: date-time
             * @description When it began.
             */
            started?: string | null;
            /**
             * Format: date-time
             * @description When it ended.
             */
            ended?: string | null;
            /** @description Its steps. */
            steps: components["schemas"]["TaskStep"][];
            /**
             * Format: int32
             * @description How much of it is done, from 0 to 100, where that is known.
             */
            percent?: number | null;
            error?: components["schemas"]["Refusal"] | null;
            /** @description What its caller should know although it succeeded. */
            warnings?: string[];
            /** @description What it has left behind and could not take back or finish. Tried again by and by. */
            leftovers?: string[];
            /** @description What happened in it, oldest first; at most [`MAX_TASK_LOG`] lines. */
            log?: components["schemas"]["TaskLogLine"][];
            /** @description What it has to itself or shares while it runs: `vm/ID`, `image/NAME`. */
            resources?: string[];
            /**
             * Format: int32
             * @description How often it was taken up again by a daemon after the one before it had ended.
             */
            taken_up?: number;
            settled_at?: components["schemas"]["Revision"] | null;
            /** @description The view's revision at this task's last change; zero outside the view. */
            revision?: components["schemas"]["Revision"];
        };
        /** @description A task that has not ended. */
        TaskDiagnosis: {
            /** @description The task. */
            id: components["schemas"]["TaskId"];
            /** @description What it does. */
            operation: string;
            vm?: components["schemas"]["VmId"] | null;
            /** @description `queued`, `running` or `interrupted`. */
            state: string;
            /** @description The steps that are being done. */
            steps: string[];
            /**
             * Format: int64
             * @description For how long it has been in them, or has waited, in milliseconds.
             */
            for_ms: number;
            /** @description Whether it can be cancelled. */
            cancellable: boolean;
        };
        /**
         * Format: uuid
         * @description Names one task.
         */
        TaskId: string;
        /** @description Tasks, newest first. */
        TaskList: {
            /** @description The tasks. */
            items: components["schemas"]["Task"][];
            /**
             * Format: int64
             * @description The view's revision that they are of.
             */
            revision: number;
            /** @description What to give as `after` for the next page; absent on the last. */
            next?: string | null;
        };
        /** @description One thing that happened in a task. */
        TaskLogLine: {
            /**
             * Format: date-time
             * @description When.
             */
            at: string;
            /** @description What, in one sentence or in a program's own words. */
            text: string;
        };
        /** @description A task, as it is from a revision on. */
        TaskNotice: {
            /** @description `task`. */
            type: string;
            /** @description Where in the feed this is. */
            position: string;
            /**
             * Format: int64
             * @description The view's revision from which on it can be read.
             */
            revision: number;
            /** @description All of it. */
            task: components["schemas"]["Task"];
        };
        /**
         * @description How far a task has come.
         * @enum {string}
         */
        TaskState: "queued" | "running" | "done" | "failed" | "cancelled" | "interrupted";
        /** @description One step of a task. */
        TaskStep: {
            /**
             * @description What the step does, such as `qemu/launch`, after the groups that it is in and before what it
             *     is done to: `volumes/create-volume:root`.
             */
            name: string;
            /** @description How far it has come. */
            state: components["schemas"]["StepState"];
            /**
             * Format: date-time
             * @description When it began.
             */
            started?: string | null;
            /**
             * Format: int64
             * @description How long it took, in microseconds.
             */
            took_us?: number | null;
        };
        /** @description A ticket. It is told this once. */
        Ticket: {
            /** @description What to show as `?ticket=`. */
            ticket: string;
            /**
             * Format: date-time
             * @description Until when.
             */
            expires: string;
        };
        /** @description What a ticket is wanted for. */
        TicketWish: {
            /** @description What it is to open. */
            kind: components["schemas"]["Purpose"];
        };
        /** @description Tokens, by name. */
        TokenList: {
            /** @description The tokens; at most 1024. */
            items: components["schemas"]["ShownCredential"][];
        };
        /** @description The name of a token that was issued to a caller, unique on a host. */
        TokenName: string;
        /** @description The files of a UEFI firmware. */
        UefiFirmware: {
            /** @description Its code, which machines share. */
            code: string;
            /** @description What each machine's own variables begin as. */
            variables: string;
        };
        /** @description What is taken in all. */
        Usage: {
            /**
             * Format: int64
             * @description VMs, running or not.
             */
            vms: number;
            /**
             * Format: int64
             * @description Virtual CPUs of running VMs.
             */
            cpus: number;
            /** @description Memory of running VMs. */
            memory: components["schemas"]["Mebibytes"];
            /** @description What the disks of VMs may grow to, running or not. */
            disk: components["schemas"]["ByteSize"];
            /**
             * Format: int64
             * @description Addresses that networks of this host keep for NICs, of VMs that run or not.
             */
            addresses: number;
        };
        /** @description What the host has given. */
        UsageDiagnosis: {
            /**
             * Format: int64
             * @description VMs.
             */
            vms: number;
            /**
             * Format: int64
             * @description Virtual CPUs of machines.
             */
            cpus: number;
            /** @description Memory of machines. */
            memory: components["schemas"]["Mebibytes"];
            /** @description What the disks of VMs may grow to. */
            disk: components["schemas"]["ByteSize"];
            /** @description How much there may be of these; of what is `null`, without bound. */
            bounds?: components["schemas"]["Quota"];
            pool?: components["schemas"]["PoolDiagnosis"] | null;
        };
        /** @description The figures of a virtual CPU. */
        VcpuStatistics: {
            /**
             * Format: int32
             * @description Its number in the machine.
             */
            index: number;
            /**
             * Format: int64
             * @description How long processors have run it, in milliseconds.
             */
            cpu_time_ms: number;
        };
        /** @description One VM. */
        Vm: {
            /** @description Its id. */
            id: components["schemas"]["VmId"];
            /** @description Its name. */
            name: components["schemas"]["VmName"];
            /** @description Its project. */
            project: components["schemas"]["ProjectName"];
            /** @description Its state in one word. */
            state: components["schemas"]["VmState"];
            want?: components["schemas"]["Want"] | null;
            /** @description The view's revision at its last change. */
            revision: components["schemas"]["Revision"];
            task?: components["schemas"]["TaskId"] | null;
            /** @description What is wrong with it: why it is quarantined, or how it differs from what was asked for. */
            problem?: string | null;
            /** @description What the hypervisor says. */
            facts: components["schemas"]["Facts"];
            spec?: components["schemas"]["Spec"] | null;
            incarnation?: components["schemas"]["Incarnation"] | null;
            managed?: components["schemas"]["Managed"] | null;
            memory?: components["schemas"]["MemoryImage"] | null;
            /**
             * Format: date-time
             * @description When the memory of its crashed guest was written to a file.
             */
            dumped?: string | null;
            /** @description Its disks as they are; looked at from time to time. */
            disks?: components["schemas"]["DiskFacts"][];
            /** @description The addresses of its guest, as far as they are known. */
            addresses?: components["schemas"]["GuestAddress"][];
            guest?: components["schemas"]["GuestSystem"] | null;
            interrupted?: components["schemas"]["TaskId"] | null;
        };
        /** @description A VM, as a person describes it. */
        VmConfig: {
            /** @description The name; unique in its project. */
            name: components["schemas"]["VmName"];
            /** @description The project (tenant) it belongs to. */
            project?: components["schemas"]["ProjectName"];
            /** @description Free text for people. */
            description?: string;
            /** @description Free keys and values for programs. */
            labels?: {
                [key: string]: string;
            };
            /**
             * Format: int32
             * @description Virtual CPUs.
             */
            cpus?: number;
            /**
             * @description The CPU model, in QEMU's name for it. The default is one that a fleet of different hosts can
             *     share, so that the VM can be migrated; `host` and `max` cannot.
             */
            cpu_model?: string | null;
            /** @description Memory. */
            memory?: components["schemas"]["Mebibytes"];
            /**
             * @description The machine type with its version, such as `pc-q35-10.0`. The default is the newest that this
             *     host's hypervisor has, and is kept from then on.
             */
            machine?: string | null;
            /** @description What it boots from. */
            boot?: components["schemas"]["Boot"];
            /** @description Disks and CD-ROMs, in boot order. */
            disks?: components["schemas"]["Disk"][];
            quota?: components["schemas"]["ByteSize"] | null;
            /** @description Network interfaces. */
            nics?: components["schemas"]["Nic"][];
            /** @description The screen. */
            display?: components["schemas"]["Display"];
            /**
             * @description A channel for the agent in the guest (qemu-guest-agent), by which programs are run and files copied
             *     there. It takes effect at the next start.
             * @default true
             */
            agent: boolean;
            /**
             * Format: int32
             * @description Spare ports for devices that are plugged while the VM runs.
             */
            spare_ports?: number;
            cloud_init?: components["schemas"]["CloudInit"] | null;
            /** @description Whether the VM is started again after the host was. */
            autostart?: components["schemas"]["Autostart"];
            /** @description What to do when its guest ends by itself. */
            on?: components["schemas"]["Policies"];
            /** @description Refuse to delete it. */
            protected?: boolean;
        };
        /**
         * Format: uuid
         * @description Names one VM for ever; also the guest's SMBIOS UUID.
         */
        VmId: string;
        /** @description VMs, oldest first. */
        VmList: {
            /** @description The VMs. */
            items: components["schemas"]["Vm"][];
            /**
             * Format: int64
             * @description The view's revision that they are of.
             */
            revision: number;
            /** @description What to give as `after` for the next page; absent on the last. */
            next?: string | null;
        };
        /** @description A VM's name, unique in its project on a host. */
        VmName: string;
        /** @description A VM with something wrong. */
        VmProblem: {
            /** @description The VM. */
            vm: components["schemas"]["VmId"];
            /** @description Its name. */
            name: string;
            /** @description Its state. */
            state: string;
            /** @description What is wrong. */
            problem: string;
        };
        /**
         * @description The state of a VM in one word.
         * @enum {string}
         */
        VmState: "stopped" | "starting" | "running" | "paused" | "ended" | "unresponsive" | "suspended" | "interrupted" | "quarantined";
        /**
         * @description What a VM should be doing. Verbs set it; policies map facts to it.
         * @enum {string}
         */
        Want: "stopped" | "running" | "paused" | "suspended";
        /** @description Which VM. */
        WhichVm: {
            /** @description Its id or name, or the beginning of either if only one begins so. */
            vm: string;
        };
        /** @description A file that was written. */
        WrittenFile: {
            /**
             * Format: int64
             * @description How much was written, in bytes.
             */
            bytes: number;
            /** @description Its SHA-256, in hexadecimal digits, as it arrived here. */
            sha256: string;
        };
    };
    responses: {
        /** @description `bad-request`: not readable as what it claims to be */
        BadRequest: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `name-taken`, `ambiguous-name`, `wrong-state`, `in-use`, `protected`, `managed-elsewhere`, `quarantined`, `interrupted`, `leftovers`, `incompatible-memory`, `idempotency-conflict`, `out-of-capacity`, `cancelled`: not as things are */
        Conflict: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `forbidden`: the caller may not do this */
        Forbidden: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description The request's head is larger than 32 KiB; without a body */
        HeadTooLarge: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `hypervisor-failed`: the hypervisor refused or failed; `hook-failed`: a hook of the operator's did; `outcome-unknown`: nothing tells whether it happened */
        HypervisorFailed: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `internal`: a defect in Innkeeper */
        Internal: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `invalid-field`: a field or parameter has a value that is not allowed */
        InvalidField: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `method-not-allowed`: not with this method; `Allow` says with which */
        MethodNotAllowed: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `not-found`: there is no such thing */
        NotFound: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `out-of-space`: the disk is full */
        OutOfSpace: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `revision-conflict`: changed since the caller read it */
        RevisionConflict: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `timeout`: it took too long */
        Timeout: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `too-large`: the body is larger than 1 MiB */
        TooLarge: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `too-many-requests`: the caller has called too often; `Retry-After` says when to come again */
        TooManyRequests: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `unauthenticated`: nobody said who is calling, or it does not hold */
        Unauthenticated: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `missing-program`: a program is not installed; `shutting-down`: the daemon is stopping; `disk-failed`: the host's disk takes no writes, or fails */
        Unavailable: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
        /** @description `unsupported`: this host or hypervisor cannot do it */
        Unsupported: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"];
            };
        };
    };
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    getHealth: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "alive"
                     *     }
                     */
                    "application/json": Record<string, unknown>;
                };
            };
        };
    };
    getMetrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Figures for Prometheus */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/openmetrics-text": string;
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    readAudit: {
        parameters: {
            query?: {
                /** @description Not before this time */
                since?: string;
                /** @description Not after this time */
                until?: string;
                /** @description Of this caller */
                caller?: string;
                /** @description About this action */
                action?: string;
                /** @description About this VM: its id, or the name that it had */
                vm?: string;
                /** @description Of the last so many lines, whatever they are about; not with `after` */
                last?: number;
                /** @description At most so many; 1000 where nothing is said */
                limit?: number;
                /** @description The `next` or `place` of a page before */
                after?: string;
            };
            header?: {
                /** @description `wait=N`: wait up to N seconds for a line */
                Prefer?: string | null;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Lines */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuditList"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    getAuthority: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The authority */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuthorityDocument"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    getBrowserSession: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The session */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BrowserSessionDocument"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    beginBrowserSession: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The session; the cookie is in `Set-Cookie` */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["BrowserSessionDocument"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    endBrowserSession: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is over */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    listCertificates: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Certificates */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CertificateList"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    createCertificate: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewCertificate"];
            };
        };
        responses: {
            /** @description The certificate */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SignedCertificate"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    revokeCertificate: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its name */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description As it was */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ShownCertificate"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    renewCertificate: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its name */
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Renewal"];
            };
        };
        responses: {
            /** @description The certificate */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SignedCertificate"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    getDiagnosis: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The diagnosis */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Diagnosis"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    getConfiguration: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The configuration */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": Record<string, unknown>;
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    getDaemonLog: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The log */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    setLogLevel: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SetLog"];
            };
        };
        responses: {
            /** @description It is so */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Log"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    setQueue: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SetQueue"];
            };
        };
        responses: {
            /** @description It is so */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Queue"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    reconcileVm: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["WhichVm"];
            };
        };
        responses: {
            /** @description It will be looked at */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Reconciled"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    followEvents: {
        parameters: {
            query?: {
                /** @description Go on after this position; without it, from now */
                since?: string;
                /** @description Only changes of these kinds, with commas between: vm, task, image, network, host */
                kind?: string;
                /** @description Only changes of this VM and its tasks: its id or name */
                vm?: string;
            };
            header?: {
                /** @description The same, as browsers send it; it comes before `since` */
                "Last-Event-ID"?: string | null;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Changes */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/x-ndjson": components["schemas"]["Change"];
                    "text/event-stream": components["schemas"]["Change"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    adoptMachine: {
        parameters: {
            query?: {
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description The machine's process */
                pid: number;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["Adoption"] | null;
            };
        };
        responses: {
            /** @description Planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PlannedOperation"];
                };
            };
            /** @description Adopted */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    getHost: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The host */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Host"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    listImages: {
        parameters: {
            query?: {
                /** @description At most so many */
                limit?: number;
                /** @description The `next` of the page before */
                after?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Images */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ImageList"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    addImage: {
        parameters: {
            query?: {
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description Do this once, however often it is sent with this key; remembered for a day */
                "Idempotency-Key"?: string | null;
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewImage"];
            };
        };
        responses: {
            /** @description Planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PlannedOperation"];
                };
            };
            /** @description Imported */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    getImage: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its name */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The image */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Image"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    removeImage: {
        parameters: {
            query?: {
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description Its name */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Removed; or planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DoneOrPlanned"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    downloadImage: {
        parameters: {
            query?: never;
            header?: {
                /** @description One range of bytes: `bytes=N-` */
                Range?: string | null;
                /** @description The `ETag` of what the range is of; all is sent where it is another now */
                "If-Range"?: string | null;
            };
            path: {
                /** @description Its name */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The image */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": number[];
                };
            };
            /** @description The range of it */
            206: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": number[];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            /** @description It has no such bytes; without a body */
            416: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    uploadImage: {
        parameters: {
            query: {
                /** @description What it is for */
                kind: components["schemas"]["ImageKind"];
                /** @description The SHA-256 of all of it, in hexadecimal */
                sha256: string;
                /** @description How much of it has arrived before; without it, it begins anew */
                offset?: number;
                /** @description A disk's format; looked for in its header where absent */
                format?: components["schemas"]["DiskFormat"];
            };
            header?: {
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description The name that it gets */
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/octet-stream": number[];
            };
        };
        responses: {
            /** @description Imported */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            /** @description It has arrived, and is imported */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    findImageUpload: {
        parameters: {
            query?: {
                /** @description The SHA-256 of all of it, in hexadecimal */
                sha256?: string;
            };
            header?: never;
            path: {
                /** @description The name that the image is to get */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description `Upload-Offset` says how much */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    importVm: {
        parameters: {
            query?: {
                /** @description The name that it gets; else its own */
                name?: string;
                /** @description The project that it belongs to; else its own, or the caller's who is bound to one */
                project?: string;
                /** @description It keeps its id, its hardware addresses and its published ports, which must be free; else it gets new ones, and publishes none */
                keep_identity?: boolean;
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/x-tar": number[];
            };
        };
        responses: {
            /** @description Planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PlannedOperation"];
                };
            };
            /** @description Imported */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            /** @description It has arrived, and is imported */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    listNetworks: {
        parameters: {
            query?: {
                /** @description Only of this name; a `*` at its end stands for anything */
                name?: string;
                /** @description Only with this value of the label KEY; may be given for several keys */
                "label.KEY"?: string;
                /** @description Only these fields of each, as paths with commas between: `id,config.name` */
                fields?: string;
                /** @description At most so many */
                limit?: number;
                /** @description The `next` of the page before */
                after?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Networks */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NetworkList"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    createNetwork: {
        parameters: {
            query?: {
                /** @description Its id, where the caller chooses one; a UUID */
                id?: string;
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description Do this once, however often it is sent with this key; remembered for a day */
                "Idempotency-Key"?: string | null;
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewNetwork"];
            };
        };
        responses: {
            /** @description Planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PlannedOperation"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    getNetwork: {
        parameters: {
            query?: never;
            header?: {
                /** @description The entity tag of the record that the caller has */
                "If-None-Match"?: string | null;
            };
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                network: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The network */
            200: {
                headers: {
                    /** @description The record's revision */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ShownNetwork"];
                };
            };
            /** @description The caller has the record already */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    replaceNetwork: {
        parameters: {
            query?: {
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description The entity tag of the record that the change is based on */
                "If-Match"?: string | null;
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                network: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NetworkConfig"];
            };
        };
        responses: {
            /** @description Changed; or planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DoneOrPlanned"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    deleteNetwork: {
        parameters: {
            query?: {
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                network: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Deleted; or planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DoneOrPlanned"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    changeNetwork: {
        parameters: {
            query?: {
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description The entity tag of the record that the change is based on; without it, the record as it is */
                "If-Match"?: string | null;
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                network: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/merge-patch+json": Record<string, unknown>;
            };
        };
        responses: {
            /** @description Changed; or planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DoneOrPlanned"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    getOpenApi: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OpenAPI 3.1 */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": Record<string, unknown>;
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    listProjects: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Projects */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProjectList"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    getProject: {
        parameters: {
            query?: never;
            header?: {
                /** @description The entity tag of the quota that the caller has */
                "If-None-Match"?: string | null;
            };
            path: {
                /** @description Its name */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The project */
            200: {
                headers: {
                    /** @description The quota's revision */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Project"];
                };
            };
            /** @description The caller has the quota already */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    replaceProjectQuota: {
        parameters: {
            query?: never;
            header?: {
                /** @description The entity tag of the quota that the change is based on */
                "If-Match"?: string | null;
            };
            path: {
                /** @description Its name */
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Quota"];
            };
        };
        responses: {
            /** @description The project */
            200: {
                headers: {
                    /** @description The quota's revision */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Project"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    deleteProjectQuota: {
        parameters: {
            query?: {
                /** @description Though it has VMs, which may lose their bounds; or though what is stored is damaged */
                force?: boolean;
            };
            header?: {
                /** @description The entity tag of the quota that is meant */
                "If-Match"?: string | null;
            };
            path: {
                /** @description Its name */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The project as it is now */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Project"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    changeProjectQuota: {
        parameters: {
            query?: never;
            header?: {
                /** @description The entity tag of the quota that the change is based on; without it, the quota as it is */
                "If-Match"?: string | null;
            };
            path: {
                /** @description Its name */
                name: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/merge-patch+json": Record<string, unknown>;
            };
        };
        responses: {
            /** @description The project */
            200: {
                headers: {
                    /** @description The quota's revision */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Project"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    signIn: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SignedMessage"];
            };
        };
        responses: {
            /** @description The session */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SignedIn"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    signOut: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is refused from now on */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    createChallenge: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The nonce */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ChallengeDocument"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    signAccountOut: {
        parameters: {
            query?: {
                /** @description Only its tokens of this name */
                jti?: string;
            };
            header?: never;
            path: {
                /** @description Its address */
                account: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is refused from now on */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    listSubnets: {
        parameters: {
            query?: {
                /** @description Only of this network: its id or name */
                network?: string;
                /** @description At most so many */
                limit?: number;
                /** @description The `next` of the page before */
                after?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Subnets */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SubnetList"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    createSubnet: {
        parameters: {
            query?: {
                /** @description Its id, where the caller chooses one; a UUID */
                id?: string;
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description Do this once, however often it is sent with this key; remembered for a day */
                "Idempotency-Key"?: string | null;
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewSubnet"];
            };
        };
        responses: {
            /** @description Planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PlannedOperation"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    getSubnet: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its id, range or name, or the beginning of one of them if only one begins so; `/` is written `%2F` */
                subnet: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The subnet */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SubnetRecord"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    deleteSubnet: {
        parameters: {
            query?: {
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description Its id, range or name, or the beginning of one of them if only one begins so; `/` is written `%2F` */
                subnet: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Deleted; or planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DoneOrPlanned"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    listReservations: {
        parameters: {
            query?: {
                /** @description Only what is kept for this */
                name?: string;
                /** @description Only what is kept for this hardware address */
                mac?: string;
                /** @description At most so many */
                limit?: number;
                /** @description The `next` of the page before */
                after?: string;
            };
            header?: never;
            path: {
                /** @description Its id, range or name, or the beginning of one of them if only one begins so; `/` is written `%2F` */
                subnet: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Reservations */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ReservationList"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    reserveAddresses: {
        parameters: {
            query?: {
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description Do this once, however often it is sent with this key; remembered for a day */
                "Idempotency-Key"?: string | null;
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description Its id, range or name, or the beginning of one of them if only one begins so; `/` is written `%2F` */
                subnet: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewReservations"];
            };
        };
        responses: {
            /** @description Kept; or planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DoneOrPlanned"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    releaseAddresses: {
        parameters: {
            query?: {
                /** @description The addresses, with commas between, in place of a body */
                address?: string;
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description Its id, range or name, or the beginning of one of them if only one begins so; `/` is written `%2F` */
                subnet: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["Released"] | null;
            };
        };
        responses: {
            /** @description Given back; or planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DoneOrPlanned"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    listTasks: {
        parameters: {
            query?: {
                /** @description Only those of this VM: its id or name, or the beginning of either */
                vm?: string;
                /** @description Only in these states, with commas between */
                state?: string;
                /** @description At most so many */
                limit?: number;
                /** @description The `next` of the page before */
                after?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Tasks */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskList"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    getTask: {
        parameters: {
            query?: {
                /** @description Wait up to so many seconds for its end */
                wait?: number;
            };
            header?: never;
            path: {
                /** @description Its id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The task */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Task"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    cancelTask: {
        parameters: {
            query?: never;
            header?: {
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description Its id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The task has ended */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            /** @description The task was asked to stop */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    followTask: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The task, again and again */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/x-ndjson": components["schemas"]["TaskNotice"];
                    "text/event-stream": components["schemas"]["TaskNotice"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    resumeTask: {
        parameters: {
            query?: never;
            header?: {
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description Its id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The task has ended */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            /** @description The task goes on */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    undoTask: {
        parameters: {
            query?: never;
            header?: {
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description Its id */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The task has ended */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            /** @description The task is being undone */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    createStreamTicket: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["StreamTicketWish"];
            };
        };
        responses: {
            /** @description The ticket */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Ticket"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    listTokens: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Tokens */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokenList"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    createToken: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NewToken"];
            };
        };
        responses: {
            /** @description The token */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreatedToken"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    revokeToken: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description Its name */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description As it was */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ShownCredential"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    listVms: {
        parameters: {
            query?: {
                /** @description Only in these states, with commas between */
                state?: string;
                /** @description Only of this name; a `*` at its end stands for anything */
                name?: string;
                /** @description Only of this project */
                project?: string;
                /** @description Only of this manager: `innkeeper`, or another one of this host such as `libvirt`, adopted or not */
                manager?: string;
                /** @description Only with this value of the label KEY; may be given for several keys */
                "label.KEY"?: string;
                /** @description Only these fields of each, as paths with commas between: `id,facts.machine` */
                fields?: string;
                /** @description At most so many */
                limit?: number;
                /** @description The `next` of the page before */
                after?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description VMs */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["VmList"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    createVm: {
        parameters: {
            query?: {
                /** @description Its id, where the caller chooses one; a UUID */
                id?: string;
                /** @description Start it when it is made; the answer then has the task that starts it, which `dry_run` does not plan */
                start?: boolean;
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description Do this once, however often it is sent with this key; remembered for a day */
                "Idempotency-Key"?: string | null;
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["VmConfig"];
            };
        };
        responses: {
            /** @description Planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PlannedOperation"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    getVm: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
            };
            header?: {
                /** @description The entity tag of the spec that the caller has */
                "If-None-Match"?: string | null;
            };
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The VM */
            200: {
                headers: {
                    /** @description The spec's revision */
                    ETag?: string;
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Vm"];
                };
            };
            /** @description The caller has the spec already */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
        };
    };
    replaceVm: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description The entity tag of the spec that the change is based on */
                "If-Match"?: string | null;
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["VmConfig"];
            };
        };
        responses: {
            /** @description Changed; or planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DoneOrPlanned"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    deleteVm: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
                /** @description End it first if it runs */
                force?: boolean;
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Deleted; or planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DoneOrPlanned"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    changeVm: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description The entity tag of the spec that the change is based on; without it, the spec as it is */
                "If-Match"?: string | null;
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/merge-patch+json": Record<string, unknown>;
            };
        };
        responses: {
            /** @description Changed; or planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DoneOrPlanned"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    adoptVm: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["Adoption"] | null;
            };
        };
        responses: {
            /** @description Adopted; or planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DoneOrPlanned"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    getVmAgent: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
            };
            header?: never;
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The agent */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GuestAgent"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    freezeVm: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
            };
            header?: never;
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["Freeze"] | null;
            };
        };
        responses: {
            /** @description They are held */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/x-ndjson": components["schemas"]["FreezeNotice"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    pingVmAgent: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
            };
            header?: never;
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It is */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    setVmTime: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
            };
            header?: never;
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["Clock"] | null;
            };
        };
        responses: {
            /** @description It is set */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    thawVm: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
            };
            header?: never;
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description They go on */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    cloneVm: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description Do this once, however often it is sent with this key; remembered for a day */
                "Idempotency-Key"?: string | null;
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Clone"];
            };
        };
        responses: {
            /** @description Planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["PlannedOperation"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    openVmConsole: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
                /** @description `write` (where nothing is said): to type, if nobody does; `read-only`, `shared` or `take` */
                role?: string;
                /** @description Instead of a credential, on a WebSocket */
                ticket?: string;
            };
            header?: never;
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The console */
            101: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    downloadVmDisk: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
            };
            header?: {
                /** @description One range of bytes: `bytes=N-` */
                Range?: string | null;
                /** @description The `ETag` of what the range is of; all is sent where it is another now */
                "If-Range"?: string | null;
            };
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
                /** @description The disk's name */
                disk: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The disk */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": number[];
                };
            };
            /** @description The range of it */
            206: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": number[];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            /** @description It has no such bytes; without a body */
            416: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    execInVm: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
            };
            header?: never;
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Program"];
            };
        };
        responses: {
            /** @description It has ended */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Ended"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    exportVm: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
            };
            header?: never;
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The file */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/x-tar": number[];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    readVmFile: {
        parameters: {
            query: {
                /** @description The file, in the guest */
                path: string;
                /** @description Where to look for the name */
                project?: string;
            };
            header?: never;
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The file */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": number[];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    writeVmFile: {
        parameters: {
            query: {
                /** @description The file, in the guest */
                path: string;
                /** @description Where to look for the name */
                project?: string;
            };
            header?: never;
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/octet-stream": number[];
            };
        };
        responses: {
            /** @description Written */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WrittenFile"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    pressVmKeys: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
            };
            header?: never;
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["KeysToPress"];
            };
        };
        responses: {
            /** @description Pressed */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    killVm: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done; or planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DoneOrPlanned"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    getVmLog: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
                /** @description `serial` (the default) or `hypervisor` */
                source?: string;
                /** @description Go on with what comes */
                follow?: boolean;
            };
            header?: never;
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The log */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    addNic: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description Do this once, however often it is sent with this key; remembered for a day */
                "Idempotency-Key"?: string | null;
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Nic"];
            };
        };
        responses: {
            /** @description Added; or planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DoneOrPlanned"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    replaceNic: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description The entity tag of the VM's spec that the change is based on */
                "If-Match"?: string | null;
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
                /** @description Its name in the VM */
                nic: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["Nic"];
            };
        };
        responses: {
            /** @description Changed; or planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DoneOrPlanned"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    removeNic: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description The entity tag of the VM's spec that the change is based on */
                "If-Match"?: string | null;
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
                /** @description Its name in the VM */
                nic: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Taken out; or planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DoneOrPlanned"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    changeNic: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description The entity tag of the VM's spec that the change is based on */
                "If-Match"?: string | null;
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
                /** @description Its name in the VM */
                nic: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/merge-patch+json": Record<string, unknown>;
            };
        };
        responses: {
            /** @description Changed; or planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DoneOrPlanned"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    pauseVm: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done; or planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DoneOrPlanned"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    rebootVm: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["StopOptions"] | null;
            };
        };
        responses: {
            /** @description Done; or planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DoneOrPlanned"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    resetVm: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done; or planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DoneOrPlanned"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    resumeVm: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done; or planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DoneOrPlanned"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    getVmScreenshot: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
            };
            header?: never;
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The picture */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "image/png": number[];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    startVm: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
                /** @description Give up the memory that a suspended VM has kept */
                discard_memory?: boolean;
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done; or planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DoneOrPlanned"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    getVmStatistics: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
            };
            header?: never;
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The figures */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Statistics"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    stopVm: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["StopOptions"] | null;
            };
        };
        responses: {
            /** @description Done; or planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DoneOrPlanned"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    suspendVm: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
                /** @description Do nothing, and answer what it would come to */
                dry_run?: boolean;
            };
            header?: {
                /** @description `wait=N`: wait up to N seconds for the task's end */
                Prefer?: string | null;
            };
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Done; or planned, with `dry_run` */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DoneOrPlanned"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Outcome"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    createVmTicket: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
            };
            header?: never;
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TicketWish"];
            };
        };
        responses: {
            /** @description The ticket */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Ticket"];
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
    openVmScreen: {
        parameters: {
            query?: {
                /** @description Where to look for the name */
                project?: string;
                /** @description Instead of a credential, on a WebSocket */
                ticket?: string;
            };
            header?: never;
            path: {
                /** @description Its id or name, or the beginning of either if only one begins so */
                vm: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The screen */
            101: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["Conflict"];
            412: components["responses"]["RevisionConflict"];
            413: components["responses"]["TooLarge"];
            422: components["responses"]["InvalidField"];
            429: components["responses"]["TooManyRequests"];
            431: components["responses"]["HeadTooLarge"];
            500: components["responses"]["Internal"];
            501: components["responses"]["Unsupported"];
            502: components["responses"]["HypervisorFailed"];
            503: components["responses"]["Unavailable"];
            504: components["responses"]["Timeout"];
            507: components["responses"]["OutOfSpace"];
        };
    };
}
