/* layer: dataset
 *
 * Any text as an imported set's manifest, any bytes behind the first zero as its records. */
#include "base/mem.h"
#include "dataset/store.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    const uint8_t *zero = length == 0 ? NULL : memchr(bytes, 0, length);
    size_t n = zero == NULL ? length : (size_t)(zero - bytes);
    char *text = msfl_strndup((const char *)bytes, n);
    json_t *m = NULL;
    size_t n_classes = 2;
    if (text == NULL) return 0;
    if (msfl_store_parse("fuzz", text, n, &m) == MSFL_OK) {
        msfl_store_shape s = msfl_store_shape_of(m);
        if (s.depth == 0 || s.width == 0 || s.height == 0 || s.channels == 0 || (s.bits != 8 && s.bits != 16)) abort();
        if (!(s.high > s.low)) abort();
        n_classes = json_array_size(json_object_get(m, "classes"));
    }
    size_t left = zero == NULL ? 0 : length - n - 1, count = left / MSFL_STORE_RECORD_BYTES;
    msfl_record *records;
    if (msfl_store_take_records("fuzz", zero == NULL ? bytes : zero + 1, count, n_classes, &records) == MSFL_OK) {
        for (size_t i = 0; i < count; i++)
            if (records[i].label >= n_classes || records[i].bunch >= count) abort();
        msfl_free(records);
    }
    json_decref(m);
    msfl_free(text);
    return 0;
}
