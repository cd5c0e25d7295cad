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

MSFL_END_DECLS

#endif
