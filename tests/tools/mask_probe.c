/* layer: eval
 *
 * Lets a script compare masks: mask_probe IN, where IN holds u32 slices, height, width, class, 3 doubles of spacing,
 * and two label volumes. Prints Dice, the 95 % Hausdorff distance, and both counts.
 */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "medsecurefl/segmentation.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    uint8_t *bytes = NULL;
    size_t length = 0;
    msfl_mask_score score;
    uint32_t head[4];
    double spacing[3];
    const size_t before = sizeof head + sizeof spacing;
    if (argc != 2 || msfl_file_read(argv[1], (size_t)1 << 30, &bytes, &length) != MSFL_OK || length < before) return 2;
    memcpy(head, bytes, sizeof head);
    memcpy(spacing, bytes + sizeof head, sizeof spacing);
    size_t size = (size_t)head[0] * head[1] * head[2];
    if (length != before + 2 * size) return 2;
    msfl_status status = msfl_mask_compare(bytes + before, bytes + before + size, head, spacing, head[3], &score);
    if (status == MSFL_OK) {
        printf("%.17g %.17g %llu %llu\n", score.dice, score.hausdorff95, (unsigned long long)score.n_truth,
               (unsigned long long)score.n_found);
    } else {
        fprintf(stderr, "%s\n", msfl_error_message());
    }
    msfl_free(bytes);
    return status == MSFL_OK ? 0 : 1;
}
