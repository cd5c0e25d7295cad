/* layer: coordinator */
/* The state of a job as the store has it: what is read is written again byte by byte, the rest is refused. */
#include "base/bytes.h"
#include "coordinator/job.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] =
    "{\"format\":\"medsecurefl-job\",\"version\":1,\"name\":\"tiny\",\"tensors\":[{\"name\":\"w\","
    "\"shape\":[4]}],\"rounds\":3,\"samples_max\":64}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    coord_job *j;
    msfl_buffer out = {0};
    if (coord_job_new(text, sizeof text - 1, "/nowhere", &j) != MSFL_OK) abort();
    /* The hash of the description stands in front of everything: given, so that the rest is reached. */
    uint8_t *bytes = malloc(size + 36);
    if (bytes == NULL) abort();
    msfl_store32(bytes, 1);
    memcpy(bytes + 4, j->hash, 32);
    memcpy(bytes + 36, data, size);
    if (coord_job_get(j, bytes, size + 36) == MSFL_OK) {
        const job_plan plan = coord_job_plan(j);
        if (plan.round > j->spec.rule.n_rounds + 1) abort();
        coord_job_put(j, &out);
        if (out.length != size + 36) abort();
    }
    msfl_buffer_clear(&out);
    coord_job_free(j);
    free(bytes);
    return 0;
}
