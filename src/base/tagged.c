#include "base/tagged.h"

#include <stdlib.h>

static int in_order(const void *a, const void *b) {
    const msfl_tagged *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->tag < y->tag ? -1 : x->tag > y->tag;
}

void msfl_tagged_sort(msfl_tagged *list, size_t n) {
    if (n > 0) qsort(list, n, sizeof *list, in_order);
}

size_t msfl_tagged_run(const msfl_tagged *list, size_t n, size_t begin) {
    size_t end = begin + 1;
    while (end < n && list[end].key == list[begin].key)
        end++;
    return end;
}
