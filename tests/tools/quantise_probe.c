/* layer: update
 *
 * The slots of one small update, for a script that makes them by itself.
 *
 *   quantise_probe BITS CLIP N_SAMPLES N_MAX SEED   values as little-endian floats on standard input, at most 4096;
 *                                                   slots as numbers on standard output, counters' digits first
 */
#include "medsecurefl/update.h"

#include <stdio.h>
#include <stdlib.h>

static _Noreturn void stop(const char *what) {
    fprintf(stderr, "quantise_probe: %s: %s\n", what, msfl_error_message());
    exit(1);
}

int main(int argc, char **argv) {
    static float values[4096];
    static uint32_t slots[4096 + 64];
    if (argc != 6) stop("usage");
    const size_t n = fread(values, sizeof *values, 4096, stdin);
    const msfl_update_range range = {n, strtof(argv[2], NULL)};
    const msfl_update_input input = {
        .values = values, .n_samples = strtoull(argv[3], NULL, 10), .rounding_seed = strtoull(argv[5], NULL, 10)};
    msfl_update_layout *layout = NULL;
    msfl_update_encoder *encoder = NULL;
    if (msfl_update_layout_new((uint32_t)strtoul(argv[1], NULL, 10), 1, strtoull(argv[4], NULL, 10), &range, 1,
                               &layout) != MSFL_OK) {
        stop("layout");
    }
    if (msfl_update_check(layout, &input) != MSFL_OK) stop("check");
    if (msfl_update_encoder_new(layout, &input, &encoder) != MSFL_OK) stop("encoder");
    const size_t n_slots = (size_t)msfl_update_slots(layout);
    if (msfl_update_quantise(encoder, 0, n_slots, slots, NULL) != MSFL_OK) stop("quantise");
    for (size_t i = 0; i < n_slots; i++)
        printf("%u\n", slots[i]);
    msfl_update_encoder_free(encoder);
    msfl_update_layout_free(layout);
    return 0;
}
