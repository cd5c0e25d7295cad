/* Dealing images out to simulated hospitals, patients whole. */
#include "base/error.h"
#include "base/mem.h"
#include "base/seeded.h"
#include "dataset/bunches.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENTS_MAX = 1000, DRAWS_MAX = 100 };
static const double alpha_min = 0.001, alpha_max = 1e6;

typedef enum scheme { IID, DIRICHLET, QUANTITY, BY_GROUP } scheme;

typedef struct dealer {
    const msfl_dataset *set;
    msfl_bunches bunches;
    scheme scheme;
    double alpha;
    uint32_t n_clients;
    uint32_t *client_of; /* of each bunch */
    uint32_t *order;
    uint32_t *have; /* images of each client */
    double *shares; /* n_clients */
} dealer;

static msfl_status read_spec(const char *spec, scheme *kind, double *alpha) {
    static const char *const forms =
        "write iid, dirichlet:ALPHA (label skew), quantity:ALPHA (size skew) or by-group, for example dirichlet:0.5";
    if (spec == NULL) return msfl_fail(MSFL_ERR_USAGE, "no partition was given; %s", forms);
    *alpha = 0;
    if (strcmp(spec, "iid") == 0) {
        *kind = IID;
        return MSFL_OK;
    }
    if (strcmp(spec, "by-group") == 0) {
        *kind = BY_GROUP;
        return MSFL_OK;
    }
    const char *number;
    if (strncmp(spec, "dirichlet:", 10) == 0) {
        *kind = DIRICHLET;
        number = spec + 10;
    } else if (strncmp(spec, "quantity:", 9) == 0) {
        *kind = QUANTITY;
        number = spec + 9;
    } else {
        return msfl_fail(MSFL_ERR_USAGE, "'%.100s' is no partition; %s", spec, forms);
    }
    char *end;
    *alpha = strtod(number, &end);
    if (end == number || *end != 0 || !(*alpha >= alpha_min) || !(*alpha <= alpha_max)) {
        return msfl_fail(
            MSFL_ERR_USAGE,
            "partition '%.100s': '%.50s' must be a number from %g to %g (small: hospitals differ much; large: "
            "they are alike)",
            spec, number, alpha_min, alpha_max);
    }
    return MSFL_OK;
}

msfl_status msfl_partition_check(const char *spec) {
    scheme kind;
    double alpha;
    return read_spec(spec, &kind, &alpha);
}

/* A point of the symmetric Dirichlet distribution over the hospitals. */
static void draw_shares(dealer *d, msfl_seeded *g) {
    double sum = 0;
    for (uint32_t c = 0; c < d->n_clients; c++)
        sum += d->shares[c] = msfl_seeded_gamma(g, d->alpha);
    if (!(sum > 0)) {
        /* With a very small alpha all gammas underflow; the limit of the distribution is all to one. */
        d->shares[msfl_seeded_below(g, d->n_clients)] = sum = 1;
    }
    for (uint32_t c = 0; c < d->n_clients; c++)
        d->shares[c] /= sum;
}

/* Cut a row of bunches into stretches of the drawn shares of its images; a bunch goes where its middle lies. */
static void cut_by_shares(dealer *d, const uint32_t *row, uint32_t n) {
    double total = 0, at = 0;
    for (uint32_t i = 0; i < n; i++)
        total += msfl_bunch_size(&d->bunches, row[i]);
    uint32_t client = 0, last = 0;
    for (uint32_t c = 0; c < d->n_clients; c++) {
        if (d->shares[c] > 0) last = c;
    }
    double end = d->shares[0] * total;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t size = msfl_bunch_size(&d->bunches, row[i]);
        while (client < last && at + size / 2.0 >= end)
            end += d->shares[++client] * total;
        d->client_of[row[i]] = client;
        d->have[client] += size;
        at += size;
    }
}

static void shuffle_all(dealer *d, msfl_seeded *g) {
    for (uint32_t i = 0; i < d->bunches.n; i++)
        d->order[i] = i;
    msfl_seeded_shuffle(g, d->order, d->bunches.n);
}

/* In random order, each patient to the hospital with the fewest images so far. */
static void deal_iid(dealer *d, msfl_seeded *g) {
    shuffle_all(d, g);
    for (uint32_t i = 0; i < d->bunches.n; i++) {
        uint32_t fewest = 0;
        for (uint32_t c = 1; c < d->n_clients; c++) {
            if (d->have[c] < d->have[fewest]) fewest = c;
        }
        d->client_of[d->order[i]] = fewest;
        d->have[fewest] += msfl_bunch_size(&d->bunches, d->order[i]);
    }
}

/* For each class a draw of its own decides how its patients spread over the hospitals. */
static void deal_dirichlet(dealer *d, msfl_seeded *g) {
    for (uint32_t k = 0; k < d->set->info.n_classes; k++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < d->bunches.n; i++) {
            if (d->bunches.main_class[i] == k) d->order[n++] = i;
        }
        msfl_seeded_shuffle(g, d->order, n);
        draw_shares(d, g);
        cut_by_shares(d, d->order, n);
    }
}

static void deal_quantity(dealer *d, msfl_seeded *g) {
    shuffle_all(d, g);
    draw_shares(d, g);
    cut_by_shares(d, d->order, d->bunches.n);
}

/* Neighbouring groups stay together: hospital c takes groups until it holds its even share of what is left, and leaves
 * at least one group for each hospital after it. */
static void deal_by_group(dealer *d) {
    uint32_t at = 0, left = d->bunches.n_images;
    for (uint32_t c = 0; c < d->n_clients; c++) {
        uint32_t clients_left = d->n_clients - c;
        double share = (double)left / clients_left;
        while (at < d->bunches.n) {
            uint32_t size = msfl_bunch_size(&d->bunches, at);
            bool first = d->have[c] == 0;
            bool others_need_it = d->bunches.n - at < clients_left;
            bool overshoots = d->have[c] + size / 2.0 > share && clients_left > 1;
            if (!first && (others_need_it || overshoots)) break;
            d->client_of[at++] = c;
            d->have[c] += size;
            left -= size;
        }
    }
}

static uint32_t smallest_client(const dealer *d) {
    uint32_t smallest = 0;
    for (uint32_t c = 1; c < d->n_clients; c++) {
        if (d->have[c] < d->have[smallest]) smallest = c;
    }
    return smallest;
}

static msfl_status too_small(const dealer *d, uint32_t client, uint32_t min_images) {
    const char *what = d->scheme == IID        ? "more images or fewer hospitals"
                       : d->scheme == BY_GROUP ? "fewer hospitals, or another partition than by-group"
                                               : "more images, fewer hospitals, a larger alpha or another seed";
    char draws[60] = "";
    if (d->scheme == DIRICHLET || d->scheme == QUANTITY) {
        snprintf(draws, sizeof draws, " in each of %d draws; in the last one", DRAWS_MAX);
    }
    return msfl_fail(
        MSFL_ERR_DATA,
        "some hospital would get too few images%s%s hospital %u of %u has %u of %u images, and at least %u are "
        "needed: %s",
        draws, draws[0] != 0 ? "" : ":", client + 1, d->n_clients, d->have[client], d->bunches.n_images, min_images,
        what);
}

static msfl_status deal(dealer *d, uint32_t min_images, uint64_t seed) {
    bool redraw = d->scheme == DIRICHLET || d->scheme == QUANTITY;
    if (d->scheme == BY_GROUP && d->set->info.group_key == NULL) {
        return msfl_fail(
            MSFL_ERR_DATA,
            "%s: by-group needs groups, and there are none: an array 'group' or a labels.csv with a patient or "
            "group column",
            d->set->source);
    }
    if (d->bunches.n < d->n_clients && min_images > 0) {
        return msfl_fail(MSFL_ERR_DATA,
                         "%u patients cannot be dealt to %u hospitals, since a patient is never divided: use fewer "
                         "hospitals or more patients",
                         d->bunches.n, d->n_clients);
    }
    for (uint32_t draw = 0;; draw++) {
        msfl_seeded g;
        msfl_seeded_init(&g, seed, "partition", d->scheme, d->n_clients, draw);
        memset(d->have, 0, d->n_clients * sizeof *d->have);
        switch (d->scheme) {
        case IID:
            deal_iid(d, &g);
            break;
        case DIRICHLET:
            deal_dirichlet(d, &g);
            break;
        case QUANTITY:
            deal_quantity(d, &g);
            break;
        case BY_GROUP:
            deal_by_group(d);
            break;
        }
        uint32_t smallest = smallest_client(d);
        if (d->have[smallest] >= min_images) return MSFL_OK;
        if (!redraw || draw + 1 == DRAWS_MAX) return too_small(d, smallest, min_images);
    }
}

msfl_status msfl_dataset_partition(const msfl_dataset *dataset, const msfl_indices *images, const char *spec,
                                   uint32_t n_clients, uint32_t min_images, uint64_t seed, msfl_indices *out) {
    dealer d = {.set = dataset, .n_clients = n_clients};
    msfl_status status = read_spec(spec, &d.scheme, &d.alpha);
    if (status != MSFL_OK) return status;
    if (n_clients == 0 || n_clients > CLIENTS_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "%u hospitals were asked for; 1 to %d are possible", n_clients, CLIENTS_MAX);
    }
    memset(out, 0, n_clients * sizeof *out);
    status = msfl_bunches_new(dataset, images, &d.bunches);
    if (status != MSFL_OK) goto done;
    status = MSFL_ERR_MEMORY;
    d.client_of = msfl_alloc(d.bunches.n, sizeof *d.client_of);
    d.order = msfl_alloc(d.bunches.n, sizeof *d.order);
    d.have = msfl_alloc(n_clients, sizeof *d.have);
    d.shares = msfl_alloc(n_clients, sizeof *d.shares);
    if (d.client_of == NULL || d.order == NULL || d.have == NULL || d.shares == NULL) goto done;
    status = deal(&d, min_images, seed);
    if (status == MSFL_OK) status = msfl_bunches_deal(&d.bunches, d.client_of, n_clients, out);
done:
    msfl_bunches_clear(&d.bunches);
    msfl_free(d.client_of);
    msfl_free(d.order);
    msfl_free(d.have);
    msfl_free(d.shares);
    return status;
}
