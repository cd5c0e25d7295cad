/* layer: nn
 *
 * Any text as a model description: an error, or a model whose canonical form parses back to itself. */
#include "base/mem.h"
#include "medsecurefl/model.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7.12 forgets a kilobyte for some unclosed quotes; that is its own. */
const char *__lsan_default_suppressions(void) {
    return "leak:libfyaml.so\n";
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    msfl_model *model, *again;
    char *text = msfl_strndup((const char *)bytes, length);
    if (text == NULL) return 0;
    if (msfl_model_parse("fuzz", text, length, 0, 0, 0, 0, &model) == MSFL_OK) {
        const char *yaml = msfl_model_yaml(model);
        if (msfl_model_parse("again", yaml, strlen(yaml), 0, 0, 0, 0, &again) != MSFL_OK) abort();
        if (strcmp(msfl_model_yaml(again), yaml) != 0) abort();
        msfl_model_free(again);
        msfl_model_free(model);
    }
    msfl_free(text);
    return 0;
}
