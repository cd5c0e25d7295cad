/* layer: job
 *
 * Any text as a job description or a round plan: an error, or a job whose canonical form reads back to itself. */
#include "base/mem.h"
#include "job/plan.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7.12 forgets a kilobyte for some unclosed quotes; that is its own. */
const char *__lsan_default_suppressions(void) {
    return "leak:libfyaml.so\n";
}

static void plan(const char *text, size_t length) {
    static const char job[] = "format: medsecurefl-job\nversion: 1\nname: n\nsamples_max: 128\n"
                              "tensors: [{name: a, shape: [3]}, {name: b, shape: [4]}]\n";
    job_spec spec;
    job_shape *shape;
    job_plan got;
    if (job_spec_parse("job", job, sizeof job - 1, false, &spec) != MSFL_OK) abort();
    if (job_shape_new(&spec, &shape) != MSFL_OK) abort();
    if (job_plan_parse(text, length, shape, &got) == MSFL_OK) job_plan_clear(&got);
    job_shape_free(shape);
    job_spec_clear(&spec);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    char *text = msfl_strndup((const char *)bytes, length);
    if (text == NULL) return 0;
    job_spec spec, again;
    if (job_spec_parse("fuzz", text, length, false, &spec) == MSFL_OK) {
        char *canonical, *twice;
        if (job_spec_text(&spec, &canonical) != MSFL_OK) abort();
        if (job_spec_parse("again", canonical, strlen(canonical), false, &again) != MSFL_OK) abort();
        if (job_spec_text(&again, &twice) != MSFL_OK || strcmp(canonical, twice) != 0) abort();
        msfl_free(canonical);
        msfl_free(twice);
        job_spec_clear(&again);
    }
    job_spec_clear(&spec);
    plan(text, length);
    msfl_free(text);
    return 0;
}
