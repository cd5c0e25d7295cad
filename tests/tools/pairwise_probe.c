/* layer: he
 *
 * A round of pairwise masking with all its messages left in a folder, for a script that opens the sum by itself.
 *
 *   pairwise_probe round N T BITS VALUES DROPPED FOLDER   the last DROPPED clients stop before they upload; writes
 *                                                         advert.I, upload.I, answer.I, values.I (u32), totals (u64)
 *   pairwise_probe bench N BITS VALUES DROPPED            rates on one core
 */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/seeded.h"
#include "he/pairwise.h"

#include <stdio.h>
#include <stdlib.h>

static _Noreturn void stop(const char *what) {
    fprintf(stderr, "pairwise_probe: %s: %s\n", what, msfl_error_message());
    exit(1);
}
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        if ((call) != MSFL_OK) stop(#call);                                                                            \
    } while (0)

static const char *folder; /* NULL: nothing is written */

static void leave(const char *name, uint32_t i, const void *bytes, size_t length) {
    char path[4096];
    if (folder == NULL) return;
    snprintf(path, sizeof path, "%s/%s.%u", folder, name, i);
    TRY(msfl_file_write(path, bytes, length));
}

static void say(const char *what, uint64_t ns, uint64_t values) {
    if (folder != NULL) return;
    printf("%-30s %9.3f ms", what, (double)ns * 1e-6);
    if (values > 0) printf(" %9.1f million values/s", (double)values * 1e3 / (double)ns);
    printf("\n");
}

static void run(const msfl_pairwise_info *info, uint32_t n_dropped) {
    enum { MAX = MSFL_PAIRWISE_CLIENTS_MAX };
    static msfl_pairwise_client *client[MAX];
    static uint8_t adverts[MAX][MSFL_PAIRWISE_ADVERT_BYTES];
    static bool partners[MAX], uploaded[MAX];
    const uint8_t *advert_of[MAX], *packet_of[MAX];
    const uint32_t n = info->n_clients;
    const size_t upload_bytes = (size_t)msfl_pairwise_upload_bytes(info),
                 answer_bytes = msfl_pairwise_answer_bytes(info);
    uint8_t *packets = msfl_alloc((size_t)n * n, MSFL_PAIRWISE_PACKET_BYTES);
    uint8_t *upload = msfl_alloc(upload_bytes, 1), *answer = msfl_alloc(answer_bytes, 1);
    uint32_t *values = msfl_alloc(info->n_values, sizeof *values);
    uint64_t *totals = msfl_alloc(info->n_values, sizeof *totals);
    if (packets == NULL || upload == NULL || answer == NULL || values == NULL || totals == NULL) stop("memory");
    msfl_pairwise_server *server;
    for (uint32_t i = 0; i < n; i++) {
        TRY(msfl_pairwise_client_new(info, i, &client[i]));
        msfl_pairwise_client_advert(client[i], adverts[i]);
        leave("advert", i, adverts[i], sizeof adverts[i]);
        advert_of[i] = adverts[i];
        partners[i] = true;
    }
    TRY(msfl_pairwise_server_new(info, advert_of, &server));
    uint64_t start = msfl_thread_cpu_ns();
    for (uint32_t i = 0; i < n; i++)
        TRY(msfl_pairwise_client_share(client[i], advert_of, packets + (size_t)i * n * MSFL_PAIRWISE_PACKET_BYTES));
    say("share, one client", (msfl_thread_cpu_ns() - start) / n, 0);
    TRY(msfl_pairwise_server_start(server, partners));
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < n; j++)
            packet_of[j] = packets + ((size_t)j * n + i) * MSFL_PAIRWISE_PACKET_BYTES;
        TRY(msfl_pairwise_client_start(client[i], packet_of));
    }
    uint64_t masking = 0, folding = 0;
    for (uint32_t i = 0; i < n - n_dropped; i++) {
        msfl_seeded g;
        msfl_seeded_init(&g, i, "probe", 0, 0, 0);
        for (uint64_t v = 0; v < info->n_values; v++)
            values[v] = (uint32_t)msfl_seeded_u64(&g) >> (32 - info->value_bits);
        leave("values", i, values, info->n_values * sizeof *values);
        uint8_t *at = upload;
        start = msfl_thread_cpu_ns();
        for (uint64_t j = 0; j < msfl_pairwise_chunks(info); j++) {
            TRY(msfl_pairwise_client_mask(client[i], j, values + j * MSFL_PAIRWISE_CHUNK, at));
            at += msfl_pairwise_chunk_bytes(info, j);
        }
        masking += msfl_thread_cpu_ns() - start;
        leave("upload", i, upload, upload_bytes);
        start = msfl_thread_cpu_ns();
        TRY(msfl_pairwise_server_upload(server, i, upload, upload_bytes));
        folding += msfl_thread_cpu_ns() - start;
    }
    say("mask, one client", masking / (n - n_dropped), info->n_values);
    say("check and fold, one client", folding / (n - n_dropped), info->n_values);
    TRY(msfl_pairwise_server_close(server, uploaded));
    for (uint32_t i = 0; i < n - n_dropped; i++) {
        TRY(msfl_pairwise_client_answer(client[i], uploaded, answer));
        leave("answer", i, answer, answer_bytes);
        TRY(msfl_pairwise_server_answer(server, i, answer, answer_bytes));
    }
    start = msfl_thread_cpu_ns();
    TRY(msfl_pairwise_server_unmask(server));
    say("rebuild the seeds", msfl_thread_cpu_ns() - start, 0);
    start = msfl_thread_cpu_ns();
    for (uint64_t j = 0; j < msfl_pairwise_chunks(info); j++)
        TRY(msfl_pairwise_server_open(server, j, totals + j * MSFL_PAIRWISE_CHUNK));
    say("take the masks off and open", msfl_thread_cpu_ns() - start, info->n_values);
    if (folder == NULL) printf("%.2f bytes per value\n", (double)upload_bytes / (double)info->n_values);
    leave("totals", 0, totals, info->n_values * sizeof *totals);
    for (uint32_t i = 0; i < n; i++)
        msfl_pairwise_client_free(client[i]);
    msfl_pairwise_server_free(server);
    msfl_free(packets);
    msfl_free(upload);
    msfl_free(answer);
    msfl_free(values);
    msfl_free(totals);
}

static uint32_t number(const char *text) {
    return (uint32_t)strtoul(text, NULL, 10);
}

int main(int argc, char **argv) {
    TRY(msfl_crypto_init());
    msfl_pairwise_info info = {.round = "pairwise_probe", .min_cohort = 2};
    uint32_t n_dropped = 0;
    if (argc == 8 && strcmp(argv[1], "round") == 0) {
        info.n_clients = number(argv[2]);
        info.threshold = number(argv[3]);
        info.value_bits = number(argv[4]);
        info.n_values = number(argv[5]);
        n_dropped = number(argv[6]);
        folder = argv[7];
    } else if (argc == 6 && strcmp(argv[1], "bench") == 0) {
        info.n_clients = number(argv[2]);
        info.threshold = info.n_clients / 2 + 1;
        info.value_bits = number(argv[3]);
        info.n_values = number(argv[4]);
        n_dropped = number(argv[5]);
    } else {
        fprintf(stderr, "see the head of pairwise_probe.c\n");
        return 2;
    }
    if (n_dropped >= info.n_clients) stop("all dropped");
    run(&info, n_dropped);
    return 0;
}
