/* A dry run's parts: what would be asked, the round it would be, and the files. */
#ifndef MSFL_CLIENT_DRY_H
#define MSFL_CLIENT_DRY_H

#include "client/hub.h"
#include "client/learner.h"
#include "text/json.h"

typedef struct client_dry {
    client_hub hub;
    const msfl_client_dry *d;
    client_link *link; /**< NULL: offline */
    char *text;        /**< of the description */
    size_t length;
    char id[JOB_ID_MAX + 1];
    uint8_t hash[MSFL_HASH_BYTES];
    job_spec spec;
    job_shape *shape;
    client_seat seat;
    msfl_announcement announcement; /**< as it was heard, or as it would be */
    bool announced;                 /**< heard */
    job_plan plan;
    float clip[MSFL_MODEL_TENSORS_MAX];
    msfl_update_layout *layout;
    float *weights;
    client_result result;
    json_t *messages; /**< of the summary */
    uint64_t bytes;
} client_dry;

/** Description, plan and weights: from the coordinator, or from files. */
msfl_status client_dry_ask(client_dry *d) MSFL_NODISCARD;
/** Encrypt, and write every message. */
msfl_status client_dry_encrypt(client_dry *d) MSFL_NODISCARD;
/** summary.txt, summary.json; `*json`: msfl_free. */
msfl_status client_dry_summarise(client_dry *d, char **json) MSFL_NODISCARD;

#endif
