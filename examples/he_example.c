/* Two hospitals' vectors, added while encrypted. Built against the public headers and libmedsecurefl-core alone:
 *
 *   cc he_example.c -lmedsecurefl-core -o he_example && ./he_example /tmp/example-keys
 */
#include <medsecurefl/he.h>

#include <stdio.h>

static int failed(void) {
    fprintf(stderr, "he_example: %s\n", msfl_error_message());
    return 1;
}

int main(int argc, char **argv) {
    /* A real program reads the passphrase from a file or a terminal, never from its source. */
    const char *folder = argc > 1 ? argv[1] : "example-keys", *passphrase = "correct horse battery staple";
    const char *scheme = argc > 2 ? argv[2] : "bfv";
    const float first[2] = {0.5f, -0.2f}, second[2] = {0.1f, 0.3f};
    float sum[2], mean[2];
    msfl_he *maker = NULL, *hospital = NULL, *holder = NULL;
    msfl_he_vector *a = NULL, *b = NULL;

    /* Once: the key holder makes a pair and keeps the secret half. */
    if (msfl_he_new(scheme, NULL, &maker) != MSFL_OK) return failed();
    if (msfl_he_save_keys(maker, folder, passphrase) != MSFL_OK) return failed();

    /* At each hospital: the public half is enough. */
    if (msfl_he_load_keys(folder, NULL, &hospital) != MSFL_OK) return failed();
    if (msfl_he_encrypt_weights(hospital, first, 2, &a) != MSFL_OK) return failed();
    if (msfl_he_encrypt_weights(hospital, second, 2, &b) != MSFL_OK) return failed();

    /* At the coordinator: adding takes no key at all. */
    if (msfl_he_add(hospital, a, b) != MSFL_OK) return failed();

    /* At the key holder. */
    if (msfl_he_load_keys(folder, passphrase, &holder) != MSFL_OK) return failed();
    if (msfl_he_decrypt_weights(holder, a, sum, 2) != MSFL_OK) return failed();
    if (msfl_he_decrypt_mean(holder, a, mean, 2) != MSFL_OK) return failed();
    printf("[0.5, -0.2] + [0.1, 0.3] = [%.4f, %.4f], mean [%.4f, %.4f]\n", sum[0], sum[1], mean[0], mean[1]);

    msfl_he_vector_free(a);
    msfl_he_vector_free(b);
    msfl_he_free(maker);
    msfl_he_free(hospital);
    msfl_he_free(holder);
    return 0;
}
