/* layer: client
 *
 * What a client reads that others wrote: frames of the coordinator, result.json of a trainer; and its operator's own
 * files. The first byte says which. An error, or something within its bounds. */
#include "client/link.h"
#include "client/outcome.h"
#include "client/policy.h"
#include "client/run.h"
#include "client/site.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7.12 forgets a kilobyte for some unclosed quotes; that is its own. */
const char *__lsan_default_suppressions(void) {
    return "leak:libfyaml.so\n";
}

static void frames(const uint8_t *data, size_t size) {
    const uint8_t *message;
    size_t length, sum = 0;
    bool failed = false;
    msfl_reader r = msfl_reader_init(data, size);
    while (client_frame_next(&r, &message, &length, &failed)) {
        if (message < data || message + length > data + size || length == 0) abort();
        sum += length + 4;
        (void)client_message_task(message, length);
    }
    if (sum > size || (!failed && sum != size)) abort();
}

static void outcome(const uint8_t *data, size_t size, job_kind kind, uint32_t n_structures) {
    client_result result = {0};
    if (client_outcome_parse((const char *)data, size, kind, 100, n_structures, &result) == MSFL_OK &&
        kind == JOB_UPDATE && (result.n_samples == 0 || result.n_samples > 100)) {
        abort();
    }
    client_result_clear(&result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    client_policy policy;
    client_site site;
    if (size == 0) return 0;
    char *text = malloc(size);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = 0;
    switch (data[0] % 5) {
    case 0:
        frames(data + 1, size - 1);
        break;
    case 1:
        outcome((const uint8_t *)text, size - 1, JOB_UPDATE, 0);
        break;
    case 2:
        outcome((const uint8_t *)text, size - 1, JOB_EVALUATE, 0);
        outcome((const uint8_t *)text, size - 1, JOB_EVALUATE, 2);
        break;
    case 3:
        (void)!client_policy_parse("policy.yaml", text, size - 1, &policy);
        client_policy_clear(&policy);
        break;
    default:
        (void)!client_site_parse("site.yaml", text, size - 1, &site);
        client_site_clear(&site);
    }
    free(text);
    return 0;
}
