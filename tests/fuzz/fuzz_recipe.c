/* layer: recipe
 *
 * Any text as a recipe: an error, or a recipe whose canonical form parses back to the same hash. */
#include "base/mem.h"
#include "recipe/recipe.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7.12 forgets a kilobyte for some unclosed quotes; that is its own. */
const char *__lsan_default_suppressions(void) {
    return "leak:libfyaml.so\n";
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    msfl_recipe r, again;
    char *text = msfl_strndup((const char *)bytes, length);
    if (text == NULL) return 0;
    if (msfl_recipe_parse("fuzz", text, length, &r) == MSFL_OK) {
        msfl_buffer canonical = {0};
        msfl_recipe_text(&r, &canonical);
        if (canonical.status != MSFL_OK) abort();
        if (msfl_recipe_parse("again", (const char *)canonical.bytes, canonical.length, &again) != MSFL_OK) abort();
        if (memcmp(again.hash, r.hash, sizeof r.hash) != 0) abort();
        msfl_buffer_clear(&canonical);
    }
    msfl_free(text);
    return 0;
}
