/* medsecurefl data: look at images and labels, and at what simulated hospitals would hold. */
#include "cmd_data.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "cmd.h"
#include "columns.h"
#include "medsecurefl/card.h"
#include "terminal.h"

#include <stdio.h>
#include <string.h>

static const char *const blocks[9] = {" ",      "\u2581", "\u2582", "\u2583", "\u2584",
                                      "\u2585", "\u2586", "\u2587", "\u2588"};
static const char *const eighths[8] = {"", "\u258f", "\u258e", "\u258d", "\u258c", "\u258b", "\u258a", "\u2589"};

char *cli_bar(double share, uint32_t width, char text[CLI_BAR_BYTES]) {
    bool utf8 = cli_locale_is_utf8();
    if (width > CLI_BAR_WIDTH_MAX) width = CLI_BAR_WIDTH_MAX;
    uint32_t n = share > 0 ? (uint32_t)(share * width * 8 + 0.5) : 0;
    if (n > 8 * width) n = 8 * width;
    if (n == 0 && share > 0) n = 1;
    size_t at = 0;
    for (uint32_t i = 0; i < n / 8; i++)
        at += (size_t)snprintf(text + at, CLI_BAR_BYTES - at, "%s", utf8 ? blocks[8] : "#");
    const char *end = utf8 ? eighths[n % 8] : n % 8 >= 4 ? "#" : n < 8 && n > 0 ? "." : "";
    snprintf(text + at, CLI_BAR_BYTES - at, "%s", end);
    return text;
}

const char *cli_block(double share) {
    static const char *const plain[9] = {" ", ".", ":", "-", "=", "+", "*", "%", "#"};
    uint32_t n = share > 0 ? (uint32_t)(share * 8 + 0.5) : 0;
    n = n > 8 ? 8 : n == 0 && share > 0 ? 1 : n;
    return cli_locale_is_utf8() ? blocks[n] : plain[n];
}

/* What was named without --data: a set, which stands alone, or files. */
static bool names_files(const char *const *words, size_t n) {
    return n > 0 && strcmp(words[0], "phantom") != 0 && !msfl_is_folder(words[0]);
}

static msfl_status run(int argc, char **argv, const char **words) {
    static const char usage[] =
        "say what to do: data inspect (look at a set or at files), augment-preview, partition, import, check, card, "
        "recipe or key; see medsecurefl data --help";
    msfl_dataset_options d = {0};
    cli_data_partition_options p = {.partition = "iid",
                                    .n_clients = 3,
                                    .min_images = 2,
                                    .test_fraction = 0.2,
                                    .validation_fraction = 0.1,
                                    .seed = 1};
    cli_data_preview_options v = {.augment = "default", .n_images = 6, .n_versions = 6};
    const char *data = NULL, *html = NULL;
    uint32_t size = 0;
    bool json = false, quiet = false, series = false;
    size_t n_words = 0;
    const cli_option options[] = {{"data", CLI_TEXT, &data, 0, 0},
                                  {"label", CLI_TEXT, &d.label, 0, 0},
                                  {"size", CLI_U32, &size, 1, 16384},
                                  {"channels", CLI_U32, &d.channels, 1, 3},
                                  {"key", CLI_TEXT, &d.key, 0, 0},
                                  {"phantom-images", CLI_U32, &d.phantom_images, 10, 1e7},
                                  {"refuse-bad", CLI_FLAG, &d.refuse_bad, 0, 0},
                                  {"clients", CLI_U32, &p.n_clients, 1, 1000},
                                  {"partition", CLI_TEXT, &p.partition, 0, 0},
                                  {"min-images", CLI_U32, &p.min_images, 0, 1e6},
                                  {"test-fraction", CLI_F64, &p.test_fraction, 0, 0.9},
                                  {"validation-fraction", CLI_F64, &p.validation_fraction, 0, 0.9},
                                  {"seed", CLI_U64, &p.seed, 0, 0x1p53},
                                  {"augment", CLI_TEXT, &v.augment, 0, 0},
                                  {"out", CLI_TEXT, &v.out, 0, 0},
                                  {"images", CLI_U32, &v.n_images, 1, 40},
                                  {"versions", CLI_U32, &v.n_versions, 1, 9},
                                  {"threads", CLI_U32, &d.n_threads, 0, 256},
                                  {"quiet", CLI_FLAG, &quiet, 0, 0},
                                  {"series", CLI_FLAG, &series, 0, 0},
                                  {"html", CLI_TEXT, &html, 0, 0},
                                  {"json", CLI_FLAG, &json, 0, 0},
                                  {0}};
    msfl_status status = cli_parse(argc, argv, options, words, (size_t)argc + 1, &n_words);
    if (status != MSFL_OK) return status;
    if (n_words == 0) return msfl_fail(MSFL_ERR_USAGE, "%s", usage);
    bool inspect = strcmp(words[0], "inspect") == 0;
    bool preview = strcmp(words[0], "augment-preview") == 0;
    if (!inspect && !preview && strcmp(words[0], "partition") != 0) {
        return strcmp(words[0], "preview") == 0
                   ? msfl_fail(MSFL_ERR_USAGE, "there is no 'data preview': pictures are shown by data inspect --data "
                                               "WHAT --html FILE, what augmentation does by data augment-preview")
                   : msfl_fail(MSFL_ERR_USAGE, "there is no 'data %s'; %s", words[0], usage);
    }
    if (preview && v.out == NULL) {
        return msfl_fail(MSFL_ERR_USAGE, "name the sheet to be written: --out SHEET.html");
    }
    msfl_augment augment;
    status = preview ? msfl_augment_parse(v.augment, &augment) : !inspect ? msfl_partition_check(p.partition) : MSFL_OK;
    if (status != MSFL_OK) return status;
    if (series && (!inspect || data != NULL || n_words < 2)) {
        return msfl_fail(MSFL_ERR_USAGE, "--series goes with data inspect and names of DICOM files or folders");
    }
    if (series) return cli_data_series(words + 1, n_words - 1, d.n_threads, json);
    if (inspect && data == NULL && names_files(words + 1, n_words - 1)) {
        return cli_data_files(words + 1, n_words - 1, d.n_threads, json);
    }
    if (n_words > 2 || (data != NULL && n_words > 1)) {
        return msfl_fail(MSFL_ERR_USAGE, "too many words: '%s'; one folder or set, or files alone", words[n_words - 1]);
    }
    if (data == NULL && n_words > 1) data = words[1];
    if (data == NULL) {
        return msfl_fail(MSFL_ERR_USAGE, "no data: give --data DIR, --data FILE.npz or --data phantom");
    }
    cli_terminal *terminal = cli_terminal_new(NULL, 0, quiet);
    const msfl_observer observer = {.observe = cli_terminal_observe, .ctx = terminal, .cancel = cli_cancel_flag()};
    if (preview) d.normalise = MSFL_NORMALISE_NONE;
    d.width = d.height = size;
    d.seed = p.seed;
    d.observer = &observer;
    msfl_dataset *set = NULL;
    status = msfl_dataset_open(data, &d, &set);
    cli_terminal_free(terminal);
    v.seed = p.seed;
    if (status == MSFL_OK) {
        status = inspect   ? cli_data_inspect(set, json)
                 : preview ? cli_data_preview(set, &v)
                           : cli_data_partition(set, &p, json);
    }
    msfl_dataset_free(set);
    if (status == MSFL_OK && html != NULL) {
        d.observer = NULL; /* read once more, for the page; what there was to say was said */
        const msfl_card_options card = {.data = data, .dataset = d, .html = html, .seed = p.seed};
        status = msfl_card(&card, NULL);
    }
    return status;
}

msfl_status cmd_data(int argc, char **argv) {
    static const struct {
        const char *name;
        msfl_status (*run)(int, char **);
    } others[] = {{"import", cli_data_import},
                  {"recipe", cli_data_recipe},
                  {"key", cli_data_key},
                  {"check", cli_data_check},
                  {"card", cli_data_card}};
    for (size_t i = 0; argc > 0 && i < sizeof others / sizeof others[0]; i++)
        if (strcmp(argv[0], others[i].name) == 0) return others[i].run(argc - 1, argv + 1);
    const char **words = msfl_alloc((size_t)argc + 2, sizeof *words);
    if (words == NULL) return MSFL_ERR_MEMORY;
    msfl_status status = run(argc, argv, words);
    msfl_free(words);
    return status;
}
