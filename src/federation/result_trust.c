#include "federation/result_parts.h"

#include <string.h>

/* Who has to be trusted, and for what. */
static const char trust_packed[] =
    "Every update left its hospital encrypted under a key made for that round alone. The coordinator only added "
    "ciphertexts. ";
static const char *const trust_custody[] = {
    [MSFL_CUSTODY_COMMITTEE] =
        "A committee of all hospitals held shares of the one-time keys, never a ciphertext. Its members checked every "
        "hospital's signature, signed one cohort per round, and answered with the sum of their shares over that cohort "
        "alone, so that only the sum of the updates could be opened. This holds while fewer than the threshold of "
        "members collude with the coordinator, also if the coordinator lies to the others.",
    [MSFL_CUSTODY_AUTHORITY] =
        "A separate authority received the sealed one-time keys, never a ciphertext, and answered once per "
        "round with the sum of the keys of the certified hospitals, so that only the sum of the updates could be "
        "opened. This holds while coordinator and authority do not collude.",
    [MSFL_CUSTODY_COORDINATOR] =
        "INSECURE against a curious coordinator: it held the one-time keys itself (--custody coordinator) and could "
        "open every single update. Use it for comparison only."};
static const char trust_simulated[] =
    "In this simulation all parties run in one process on one machine: it shows the computation and its cost, not the "
    "separation of the parties.";
static const char trust_plain[] =
    "NOT PROTECTED. Scheme 'plain': every update was visible to the coordinator, and images can be reconstructed from "
    "updates. Use it for comparison only.";

static const char trust_delivered[] =
    " The sums, and the model made of them, were opened by the hospitals alone: the committee's answers were sealed "
    "for them (--delivery clients), every hospital opened every sum, and all of them opened the same. The coordinator "
    "saw "
    "neither; it could have added to a sum something of its own, the same for all, which a hospital finds out that "
    "folds the uploads itself.";

bool fed_is_packed(const fed_job *job) {
    return strcmp(msfl_scheme_name(job->scheme), "packed") == 0;
}

msfl_custody fed_packed_custody(const fed_job *job) {
    return msfl_setup_request(job->updates.setup)->custody;
}

json_t *fed_result_trust(const fed_job *job) {
    if (!job->encrypts) return json_string(trust_plain);
    if (!fed_is_packed(job)) return json_sprintf("%s %s", msfl_scheme_trust(job->scheme), trust_simulated);
    return json_sprintf("%s%s%s %s", trust_packed, trust_custody[fed_packed_custody(job)],
                        job->delivery == MSFL_DELIVERY_CLIENTS ? trust_delivered : "", trust_simulated);
}

const char *fed_result_custody(const fed_job *job) {
    if (!job->encrypts) return NULL;
    if (fed_is_packed(job)) return msfl_custody_name(fed_packed_custody(job));
    return (msfl_scheme_traits(job->scheme) & MSFL_SCHEME_KEY_PAIR) != 0 ? "key holder" : "hospitals";
}
