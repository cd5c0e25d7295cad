#include "measure/machine.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "measure/clock.h"
#include "medsecurefl/packed.h"
#include "ring/aes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Under a sanitizer nothing that is measured means anything: what stays is short. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { COPY_BYTES = 8 << 20 };
#else
enum { COPY_BYTES = 256 << 20 };
#endif
enum { BLOCK = 8192, BLOCKS = 2048, TURNS_MIN = 2 };

/** Bytes per second copied between two buffers that no cache holds; 0 without the memory for them. */
static double memcpy_rate(double seconds) {
    uint8_t *a = msfl_alloc(COPY_BYTES, 1), *b = msfl_alloc(COPY_BYTES, 1);
    measure_turns turns = {0};
    uint64_t begun = msfl_now_ns();
    for (int i = 0; a != NULL && b != NULL && (i < TURNS_MIN || measure_since(begun) < seconds); i++) {
        memset(a, i, 64);
        uint64_t start = measure_cpu_now();
        memcpy(b, a, COPY_BYTES);
        double took = measure_cpu_since(start);
        if (b[63] == a[63]) measure_turn(&turns, took); /* and so that the copy is not left out */
    }
    msfl_free(a);
    msfl_free(b);
    return turns.n == 0 ? 0.0 : COPY_BYTES / measure_best(&turns);
}

static msfl_status aes_rate(double seconds, size_t key_bytes, uint8_t *buffer, double *rate) {
    static const uint8_t key[32] = {1}, iv[MSFL_AES_BLOCK] = {0};
    msfl_aes *aes;
    measure_turns turns = {0};
    msfl_status status = msfl_aes_new(NULL, &aes);
    if (status != MSFL_OK) return status;
    uint64_t begun = msfl_now_ns();
    for (int turn = 0; (turn < TURNS_MIN || measure_since(begun) < seconds) && status == MSFL_OK; turn++) {
        uint64_t start = measure_cpu_now();
        status = msfl_aes_start(aes, key, key_bytes, iv);
        for (int i = 0; i < BLOCKS && status == MSFL_OK; i++)
            status = msfl_aes_read(aes, buffer, BLOCK);
        measure_turn(&turns, measure_cpu_since(start));
    }
    msfl_aes_free(aes);
    *rate = (double)BLOCK * BLOCKS / measure_best(&turns);
    return status;
}

static double hash_rate(double seconds, uint8_t *buffer) {
    measure_turns turns = {0};
    uint64_t begun = msfl_now_ns();
    for (int turn = 0; turn < TURNS_MIN || measure_since(begun) < seconds; turn++) {
        msfl_hash h;
        uint8_t out[MSFL_HASH_BYTES];
        uint64_t start = measure_cpu_now();
        msfl_hash_init(&h, "msfl.bench.v1");
        for (int i = 0; i < BLOCKS / 4; i++)
            msfl_hash_add(&h, buffer, BLOCK);
        msfl_hash_final(&h, out);
        measure_turn(&turns, measure_cpu_since(start));
        buffer[0] ^= out[0]; /* so that the hash is not left out */
    }
    return 0.25 * BLOCK * BLOCKS / measure_best(&turns);
}

static void read_processor(char *text, size_t size) {
    char line[512];
    snprintf(text, size, "unknown");
    FILE *f = fopen("/proc/cpuinfo", "r");
    if (f == NULL) return;
    while (fgets(line, sizeof line, f) != NULL) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || colon == NULL) continue;
        colon += 1 + strspn(colon + 1, " \t");
        snprintf(text, size, "%.*s", (int)strcspn(colon, "\n"), colon);
        break;
    }
    fclose(f);
}

static msfl_status read_kernel(char *text, size_t size) {
    const msfl_params_request request = {.n_clients = 2, .value_bits = 8, .n_values = 1};
    msfl_params params;
    msfl_packed *packed;
    msfl_status status = msfl_params_plan(&request, &params);
    if (status == MSFL_OK) status = msfl_packed_new(&params, &packed);
    if (status != MSFL_OK) return status;
    snprintf(text, size, "%s", msfl_packed_kernel(packed));
    msfl_packed_free(packed);
    return MSFL_OK;
}

msfl_status msfl_bench_machine_measure(double seconds, msfl_bench_machine *out) {
    memset(out, 0, sizeof *out);
    uint8_t *buffer = msfl_alloc(BLOCK, 1);
    if (buffer == NULL) return MSFL_ERR_MEMORY;
    read_processor(out->processor, sizeof out->processor);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    out->cores = cores > 0 ? (uint32_t)cores : 1;
    if (getloadavg(&out->load, 1) != 1) out->load = 0.0;
    double aes256 = 0.0, aes128 = 0.0;
    msfl_status status = read_kernel(out->kernel, sizeof out->kernel);
    if (status == MSFL_OK) status = aes_rate(seconds * 0.2, 32, buffer, &aes256);
    if (status == MSFL_OK) status = aes_rate(seconds * 0.1, 16, buffer, &aes128);
    out->aes_ctr_gbps = aes256 * 1e-9;
    out->aes128_ctr_gbps = aes128 * 1e-9;
    out->hash_gbps = hash_rate(seconds * 0.2, buffer) * 1e-9;
    out->memcpy_gbps = memcpy_rate(seconds * 0.5) * 1e-9;
    msfl_free(buffer);
    if (status == MSFL_OK && !(out->memcpy_gbps > 0.0)) {
        status = msfl_fail(MSFL_ERR_MEMORY, "no memory to measure copying with: %d MiB are needed", COPY_BYTES >> 19);
    }
    return status;
}

msfl_status measure_machine_again(double seconds, msfl_bench_machine *machine) {
    msfl_bench_machine again;
    msfl_status status = msfl_bench_machine_measure(seconds, &again);
    if (status != MSFL_OK) return status;
    machine->memcpy_gbps = fmax(machine->memcpy_gbps, again.memcpy_gbps);
    machine->aes_ctr_gbps = fmax(machine->aes_ctr_gbps, again.aes_ctr_gbps);
    machine->aes128_ctr_gbps = fmax(machine->aes128_ctr_gbps, again.aes128_ctr_gbps);
    machine->hash_gbps = fmax(machine->hash_gbps, again.hash_gbps);
    return MSFL_OK;
}

json_t *measure_machine_json(const msfl_bench_machine *machine) {
    static const measure_field fields[] = {
        MEASURE_FIELD(msfl_bench_machine, MEASURE_TEXT, processor),
        MEASURE_FIELD(msfl_bench_machine, MEASURE_TEXT, kernel),
        MEASURE_FIELD(msfl_bench_machine, MEASURE_U32, cores),
        MEASURE_FIELD(msfl_bench_machine, MEASURE_REAL, load),
        MEASURE_FIELD(msfl_bench_machine, MEASURE_REAL, memcpy_gbps),
        MEASURE_FIELD(msfl_bench_machine, MEASURE_REAL, aes_ctr_gbps),
        MEASURE_FIELD(msfl_bench_machine, MEASURE_REAL, aes128_ctr_gbps),
        MEASURE_FIELD(msfl_bench_machine, MEASURE_REAL, hash_gbps),
    };
    return measure_row_json(fields, sizeof fields / sizeof fields[0], machine);
}

static uint64_t locked_bytes(void) {
    char line[256];
    unsigned long long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    if (f == NULL) return 0;
    while (fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, "VmLck:", 6) == 0) kib = strtoull(line + 6, NULL, 10);
    }
    fclose(f);
    return kib * 1024;
}

uint64_t measure_memory_now(void) {
    return msfl_alloc_bytes() + locked_bytes();
}

uint64_t measure_memory_peak(void) {
    return msfl_alloc_bytes_peak() + locked_bytes();
}

void measure_memory_restart(void) {
    msfl_alloc_peak_restart();
}
