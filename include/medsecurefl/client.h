/* A hospital, or a holder of key shares, in a federation over the network. Layer: client. docs/design/client.md.
 *
 * A client dials out to its coordinator and decides by files of its own what it takes part in: site.yaml says what it
 * trains on and with, policy.yaml what may leave it. What policy does not allow never leaves, whatever is announced.
 */
#ifndef MEDSECUREFL_CLIENT_H
#define MEDSECUREFL_CLIENT_H

#include "medsecurefl/keyfile.h"
#include "medsecurefl/observe.h"

MSFL_BEGIN_DECLS

typedef struct msfl_client_options {
    const char *kit;           /**< folder: docs/formats/kit.md; site.yaml and policy.yaml lie there too */
    const char *state;         /**< folder for what it must remember; NULL: KIT/state */
    const char *job;           /**< this job alone; NULL: all */
    const msfl_unlock *unlock; /**< of sealed keys; NULL: they lie plain, 0600 */
    bool once;                 /**< return when no job is queued or running */
    const msfl_observer
        *observer; /**< `track` of events is the job's id, "client" outside jobs; its cancel flag ends the run */
} msfl_client_options;

/**
 * Take part until the observer's cancel flag is set (a graceful end: OK). A hospital trains, encrypts and sends;
 * whoever is a member of the committee signs cohorts and answers with sums of key shares meanwhile. A kit of role
 * authority does the latter alone.
 *
 * @retval MSFL_ERR_EXISTS   another client has this state folder
 * @retval MSFL_ERR_POLICY   certificate-revoked, ...: nothing can be done with this kit
 * @retval MSFL_ERR_USAGE    a kit of another role
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_client_run(const msfl_client_options *options);

/** What a dry run takes besides. */
typedef struct msfl_client_dry {
    const char *out; /**< folder for what would leave; made, and must be empty */
    const char *job; /**< a description file: offline; NULL: `options->job`, or the job that is running */
    const char
        *weights; /**< with `job`: what is trained from, as .npz, .h5, or bare float32; NULL: by the job's seed */
} msfl_client_dry;

/**
 * Everything but sending: the job, its policy, training, encryption under keys that are thrown away, and every byte of
 * every message in files, with what each part of it is (OUT/summary.txt, OUT/summary.json, OUT/messages). Over the
 * network it only asks (GET); with `dry->job` it does not use the network at all. The kit's own keys sign and seal
 * nothing here, so that what is written can never pass for an upload. `options->state`, `once` are not used; a client
 * may run meanwhile.
 *
 * @retval MSFL_ERR_POLICY   this hospital's policy refuses the job: nothing would leave
 * @retval MSFL_ERR_MISSING  no such job, or no job is running
 * @retval MSFL_ERR_EXISTS   OUT is not empty
 * `*json` gets the summary; free it with msfl_client_text_free.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_client_dry_run(const msfl_client_options *options, const msfl_client_dry *dry,
                                                        char **json);
/** Free; NULL is fine. */
MSFL_API void msfl_client_text_free(char *text);

MSFL_END_DECLS

#endif
