/* Can the class be told from something other than the picture? */
#include "dataset/trait.h"

#include "base/error.h"
#include "base/mem.h"

#include <string.h>

/* Right predictions among the images of one value, each from the others. With n of the most common class, one of them
 * sees n - 1 others: it is named by them only where no other class has as many. An image of another class is always
 * named wrongly then. */
static size_t correct_in(const msfl_tagged *run, size_t n, uint32_t n_classes, size_t *count) {
    memset(count, 0, n_classes * sizeof *count);
    size_t best = 0, second = 0;
    for (size_t i = 0; i < n; i++)
        count[run[i].tag]++;
    for (uint32_t k = 0; k < n_classes; k++) {
        if (count[k] > best) {
            second = best;
            best = count[k];
        } else if (count[k] > second) {
            second = count[k];
        }
    }
    return best > second + 1 ? best : 0;
}

static double guessing_of(const msfl_tagged *list, size_t n, uint32_t n_classes, size_t *count) {
    size_t most = 0;
    memset(count, 0, n_classes * sizeof *count);
    for (size_t i = 0; i < n; i++)
        count[list[i].tag]++;
    for (uint32_t k = 0; k < n_classes; k++)
        most = count[k] > most ? count[k] : most;
    return n == 0 ? 0 : (double)most / (double)n;
}

msfl_status msfl_trait_judge_tagged(msfl_tagged *list, size_t n, uint32_t n_classes, msfl_trait *out) {
    size_t *count = msfl_alloc(n_classes, sizeof *count), correct = 0;
    if (count == NULL) return MSFL_NO_MEMORY;
    msfl_trait t = {.guessing = guessing_of(list, n, n_classes, count)};
    msfl_tagged_sort(list, n);
    for (size_t begin = 0, end; begin < n; begin = end) {
        end = msfl_tagged_run(list, n, begin);
        correct += correct_in(list + begin, end - begin, n_classes, count);
        t.n_values++;
    }
    t.accuracy = n == 0 ? 0 : (double)correct / (double)n;
    t.telling = t.n_values > 1 && t.accuracy - t.guessing > 0.3 * (1 - t.guessing);
    *out = t;
    msfl_free(count);
    return MSFL_OK;
}

msfl_status msfl_trait_judge(const uint64_t *keys, const uint32_t *labels, size_t n, uint32_t n_classes,
                             msfl_trait *out) {
    msfl_tagged *list = msfl_alloc(n, sizeof *list);
    if (list == NULL) return MSFL_NO_MEMORY;
    for (size_t i = 0; i < n; i++)
        list[i] = (msfl_tagged){keys[i], labels[i]};
    msfl_status status = msfl_trait_judge_tagged(list, n, n_classes, out);
    msfl_free(list);
    return status;
}
