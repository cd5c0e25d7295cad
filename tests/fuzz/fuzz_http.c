/* layer: net */
/* Paths, ranges and header values: what is accepted must be what the grammar says. */
#include "net/http.h"
#include "net/log.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    net_range r;
    net_params p;
    uint64_t v;
    if (text == NULL) return 0;
    memcpy(text, data, size);
    text[size] = 0;
    if (net_path_is_good(text)) {
        if (strstr(text, "..") != NULL &&
            (strstr(text, "/../") != NULL || strcmp(text + strlen(text) - 3, "/..") == 0)) {
            abort();
        }
        if (strstr(text, "//") != NULL || strchr(text, '%') != NULL || strlen(text) > NET_PATH_MAX) abort();
    }
    if (net_path_match("/v1/{a}/x/{b}", text, &p) && p.n != 2) abort();
    if (net_content_range(text, &r) && (r.length == 0 || r.first + r.length > r.total)) abort();
    (void)net_content_range_end(text, &v);
    if (net_range_of(text, 1000, &r) == NET_RANGE_PART && (r.length == 0 || r.first + r.length > 1000)) abort();
    if (net_number(text, 77, &v) && v > 77) abort();
    if (net_value_is_good(text) && strpbrk(text, "\r\n") != NULL) abort();
    msfl_buffer b = {0};
    net_json_text(&b, text);
    for (size_t i = 0; i < b.length; i++)
        if (b.bytes[i] < 0x20 || b.bytes[i] > 0x7e) abort();
    msfl_buffer_clear(&b);
    free(text);
    return 0;
}
