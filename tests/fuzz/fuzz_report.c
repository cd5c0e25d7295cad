/* layer: report */
/* Any JSON object makes a page or an error, and no page holds a tag of the input's. */
#include "base/error.h"
#include "report/page.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    json_t *result;
    if (msfl_json_parse("fuzz", (const char *)bytes, length, 1 << 20, &result) != MSFL_OK) return 0;
    msfl_buffer out = {0};
    if (json_is_object(result) && msfl_page_render(result, NULL, 0, &out) == MSFL_OK) {
        msfl_put8(&out, 0);
        if (out.status == MSFL_OK && strstr((const char *)out.bytes, "<script") != NULL) abort();
    }
    msfl_buffer_clear(&out);
    json_decref(result);
    return 0;
}
