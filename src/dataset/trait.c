/* Can the class be told from something other than the picture? */
#include "base/error.h"
#include "base/mem.h"
#include "medsecurefl/dataset.h"

#include <stdlib.h>
#include <string.h>

typedef struct tagged {
    uint64_t key;
    uint32_t label;
} tagged;

static int by_key(const void *a, const void *b) {
    const tagged *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->label < y->label ? -1 : x->label > y->label;
}

/* Right predictions among the images of one value, each from the others. With n of the most common class, one of them
 * sees n - 1 others: it is named by them only where no other class has as many. An image of another class is always
 * named wrongly then. */
static size_t correct_in(const tagged *run, size_t n, uint32_t n_classes, size_t *count) {
    memset(count, 0, n_classes * sizeof *count);
    size_t best = 0, second = 0;
    for (size_t i = 0; i < n; i++)
        count[run[i].label]++;
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

static double guessing_of(const uint32_t *labels, size_t n, uint32_t n_classes, size_t *count) {
    size_t most = 0;
    memset(count, 0, n_classes * sizeof *count);
    for (size_t i = 0; i < n; i++)
        count[labels[i]]++;
    for (uint32_t k = 0; k < n_classes; k++)
        most = count[k] > most ? count[k] : most;
    return n == 0 ? 0 : (double)most / (double)n;
}

msfl_status msfl_trait_judge(const uint64_t *keys, const uint32_t *labels, size_t n, uint32_t n_classes,
                             msfl_trait *out) {
    tagged *all = msfl_alloc(n, sizeof *all);
    size_t *count = msfl_alloc(n_classes, sizeof *count), correct = 0;
    msfl_status status = (all == NULL && n > 0) || count == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    if (status != MSFL_OK) goto done;
    msfl_trait t = {.guessing = guessing_of(labels, n, n_classes, count)};
    for (size_t i = 0; i < n; i++)
        all[i] = (tagged){keys[i], labels[i]};
    if (n > 0) qsort(all, n, sizeof *all, by_key);
    for (size_t begin = 0, end; begin < n; begin = end) {
        for (end = begin + 1; end < n && all[end].key == all[begin].key;)
            end++;
        correct += correct_in(all + begin, end - begin, n_classes, count);
        t.n_values++;
    }
    t.accuracy = n == 0 ? 0 : (double)correct / (double)n;
    t.telling = t.n_values > 1 && t.accuracy - t.guessing > 0.3 * (1 - t.guessing);
    *out = t;
done:
    msfl_free(all);
    msfl_free(count);
    return status;
}
