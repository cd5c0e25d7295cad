/* layer: dataset
 *
 * Lets a script see who gets which image: split_probe DATA FIRST SEEDS TEST VALIDATION PARTITION HOSPITALS [KEY]. For
 * each seed from FIRST one line: a letter for each image's part (t training, v validation, e test), and after a blank
 * each image's hospital, a letter from A (test images by turns); or a line "refused" with the reason.
 */
#include "base/error.h"
#include "base/mem.h"
#include "dataset/deal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOSPITALS_MAX = 26 };

/* False where an image is named twice. */
static bool put(char *line, const msfl_indices *images, char letter) {
    for (uint32_t i = 0; i < images->n; i++) {
        if (line[images->at[i]] != '-') return false;
        line[images->at[i]] = letter;
    }
    return true;
}

static msfl_status one_seed(const msfl_dataset *set, char **argv, uint64_t seed, char *parts, char *owners) {
    msfl_split split = {0};
    msfl_holding holdings[HOSPITALS_MAX] = {0};
    uint32_t n = (uint32_t)strtoul(argv[7], NULL, 10);
    msfl_status status = msfl_dataset_split(set, strtod(argv[4], NULL), strtod(argv[5], NULL), seed, &split);
    bool once = status != MSFL_OK ||
                (put(parts, &split.train, 't') && put(parts, &split.validation, 'v') && put(parts, &split.test, 'e'));
    if (status == MSFL_OK) status = msfl_dataset_deal(set, &split, argv[6], n, seed, holdings);
    for (uint32_t i = 0; i < n && status == MSFL_OK; i++) {
        msfl_indices turn = {0};
        once = once && put(owners, &holdings[i].train, (char)('A' + i)) &&
               put(owners, &holdings[i].validation, (char)('A' + i));
        status = msfl_dataset_take_turns(set, &split.test, n, i, &turn);
        if (status == MSFL_OK) once = once && put(owners, &turn, (char)('A' + i));
        msfl_indices_clear(&turn);
    }
    for (uint32_t i = 0; i < n; i++)
        msfl_holding_clear(&holdings[i]);
    msfl_split_clear(&split);
    if (!once) exit(3);
    return status;
}

int main(int argc, char **argv) {
    if (argc < 8 || argc > 9 || strtoul(argv[7], NULL, 10) > HOSPITALS_MAX) return 2;
    const msfl_dataset_options o = {
        .key = argc == 9 ? argv[8] : NULL, .n_threads = 1, .normalise = MSFL_NORMALISE_NONE};
    msfl_dataset *set = NULL;
    if (msfl_dataset_open(argv[1], &o, &set) != MSFL_OK) {
        fprintf(stderr, "%s\n", msfl_error_message());
        return 1;
    }
    uint32_t n = msfl_dataset_info_borrow(set)->n_images;
    char *lines[2] = {msfl_alloc((size_t)n + 1, 1), msfl_alloc((size_t)n + 1, 1)};
    uint64_t first = strtoull(argv[2], NULL, 10), end = first + strtoull(argv[3], NULL, 10);
    for (uint64_t seed = first; seed < end && lines[0] != NULL && lines[1] != NULL; seed++) {
        memset(lines[0], '-', n);
        memset(lines[1], '-', n);
        if (one_seed(set, argv, seed, lines[0], lines[1]) == MSFL_OK) {
            printf("%s %s\n", lines[0], lines[1]);
        } else {
            printf("refused: %s\n", msfl_error_message());
        }
    }
    msfl_free(lines[0]);
    msfl_free(lines[1]);
    msfl_dataset_free(set);
    return 0;
}
