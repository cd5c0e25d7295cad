/* layer: he */
/* One message of a round replaced by any bytes. The first byte chooses: 0 an advert, 1 a packet, 2 an upload, 3 an
 * answer. The round is refused at that step, or goes on; a sum that opens lies within its bounds. */
#include "he/pairwise.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N = 3, VALUES = 5, UPLOAD = MSFL_PAIRWISE_UPLOAD_HEADER + 7, ANSWER = MSFL_PAIRWISE_ANSWER_HEADER + N * 41 };

static const msfl_pairwise_info info = {
    .n_clients = N, .threshold = 2, .min_cohort = 2, .value_bits = 8, .n_values = 5};

/** Client 0's bytes of this message, if it is the one to replace. */
static void replace(const uint8_t *data, size_t size, int kind, uint8_t *bytes, size_t length) {
    if (data[0] % 4 == kind) memcpy(bytes, data + 1, size - 1 < length ? size - 1 : length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    msfl_pairwise_client *client[N] = {NULL};
    msfl_pairwise_server *server = NULL;
    uint8_t adverts[N][MSFL_PAIRWISE_ADVERT_BYTES], packets[N][N][MSFL_PAIRWISE_PACKET_BYTES];
    uint8_t upload[UPLOAD], answer[ANSWER];
    const uint8_t *advert_of[N], *packet_of[N];
    const bool everyone[N] = {true, true, true};
    bool uploaded[N];
    static const uint32_t values[VALUES] = {1, 2, 255, 0, 7};
    uint64_t totals[VALUES];
    if (size < 1) return 0;
    if (msfl_pairwise_upload_bytes(&info) != UPLOAD || msfl_pairwise_answer_bytes(&info) != ANSWER) abort();
    for (uint32_t i = 0; i < N; i++) {
        if (msfl_pairwise_client_new(&info, i, &client[i]) != MSFL_OK) abort();
        msfl_pairwise_client_advert(client[i], adverts[i]);
        advert_of[i] = adverts[i];
    }
    replace(data, size, 0, adverts[0], sizeof adverts[0]);
    if (msfl_pairwise_server_new(&info, advert_of, &server) != MSFL_OK) goto done;
    for (uint32_t i = 0; i < N; i++) {
        if (msfl_pairwise_client_share(client[i], advert_of, packets[i][0]) != MSFL_OK) goto done;
    }
    replace(data, size, 1, packets[0][1], sizeof packets[0][1]);
    if (msfl_pairwise_server_start(server, everyone) != MSFL_OK) abort();
    for (uint32_t i = 0; i < N; i++) {
        for (uint32_t j = 0; j < N; j++)
            packet_of[j] = packets[j][i];
        if (msfl_pairwise_client_start(client[i], packet_of) != MSFL_OK) goto done;
        if (msfl_pairwise_client_mask(client[i], 0, values, upload) != MSFL_OK) abort();
        if (i == 0) replace(data, size, 2, upload, sizeof upload);
        size_t length = i == 0 && data[0] % 4 == 2 && size - 1 < UPLOAD ? size - 1 : UPLOAD;
        (void)!msfl_pairwise_server_upload(server, i, upload, length);
    }
    if (msfl_pairwise_server_close(server, uploaded) != MSFL_OK) abort();
    for (uint32_t i = 0; i < N; i++) {
        if (!uploaded[i] || msfl_pairwise_client_answer(client[i], uploaded, answer) != MSFL_OK) continue;
        if (i == 0) replace(data, size, 3, answer, sizeof answer);
        size_t length = i == 0 && data[0] % 4 == 3 && size - 1 < ANSWER ? size - 1 : ANSWER;
        (void)!msfl_pairwise_server_answer(server, i, answer, length);
    }
    if (msfl_pairwise_server_unmask(server) != MSFL_OK) goto done;
    if (msfl_pairwise_server_open(server, 0, totals) != MSFL_OK) memset(totals, 0, sizeof totals);
    for (size_t v = 0; v < VALUES; v++) {
        if (totals[v] > (uint64_t)N * 255) abort();
    }
done:
    for (uint32_t i = 0; i < N; i++)
        msfl_pairwise_client_free(client[i]);
    msfl_pairwise_server_free(server);
    return 0;
}
