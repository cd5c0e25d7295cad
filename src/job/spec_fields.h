/* The simple fields of a job description, in the order of the alphabet: X(kind, "key", field, least, most). Reader and
 * writer share this list. */
#ifndef MSFL_JOB_SPEC_FIELDS_H
#define MSFL_JOB_SPEC_FIELDS_H

#define JOB_SPEC_FIELDS(X)                                                                                             \
    X(NAME, "aggregate", aggregate, 1, 23)                                                                             \
    X(U32, "attempts", attempts_max, 1, 1000)                                                                          \
    X(FLAG, "augment", train.augment, 0, 1)                                                                            \
    X(WORDS, "augmentation", augmentation, 1, 199)                                                                     \
    X(U32, "average_rounds", rule.n_averaged, 0, 8000)                                                                 \
    X(FLAG, "balance", balance, 0, 1)                                                                                  \
    X(U32, "batch", train.batch, 1, 1024)                                                                              \
    X(U32, "bits", value_bits, 2, 32)                                                                                  \
    X(F64, "clip", clip, 0, 1e6)                                                                                       \
    X(U32, "deadline_s", deadline_s, 5, 30 * 86400)                                                                    \
    X(DELIVERY, "delivery", delivery, 0, 0)                                                                            \
    X(F32, "dice", train.dice, 0, 100)                                                                                 \
    X(FLAG, "evaluate", evaluate, 0, 1)                                                                                \
    X(FLAG, "flip_horizontal", flip_horizontal, 0, 1)                                                                  \
    X(F32, "focal", train.focal, 0, 10)                                                                                \
    X(HASH, "initial", initial, 0, 0)                                                                                  \
    X(KEEP, "keep", rule.keeps_last, 0, 0)                                                                             \
    X(F32, "label_smoothing", train.label_smoothing, 0, 0.9)                                                           \
    X(F32, "learning_rate", train.learning_rate, 1e-12, 100)                                                           \
    X(U32, "local_epochs", train.n_epochs, 1, 1000)                                                                    \
    X(U32, "local_steps", train.n_steps, 0, 1000000)                                                                   \
    X(F64, "logit_adjustment", logit_adjustment, 0, 10)                                                                \
    X(U32, "min_cohort", min_cohort, 2, MSFL_CLIENTS_MAX)                                                              \
    X(F32, "momentum", train.momentum, 0, 0.99999)                                                                     \
    X(NAME, "name", name, 1, JOB_NAME_MAX)                                                                             \
    X(NAME, "nonce", nonce, 32, 32)                                                                                    \
    X(NORMAL, "normalise", normalise, 0, 0)                                                                            \
    X(NORMS, "norms", norms, 0, 0)                                                                                     \
    X(OPTIMIZER, "optimizer", train.optimizer, 0, 0)                                                                   \
    X(U32, "patience", rule.patience, 0, 100000)                                                                       \
    X(F64, "plateau_factor", rule.plateau_factor, 1e-6, 1)                                                             \
    X(U32, "plateau_patience", rule.plateau_patience, 0, 100000)                                                       \
    X(F32, "proximal", train.proximal, 0, 1000)                                                                        \
    X(HASH, "recipe", recipe, 0, 0)                                                                                    \
    X(LINE, "recipe_name", recipe_name, 1, 63)                                                                         \
    X(U32, "rounds", rule.n_rounds, 1, 8000)                                                                           \
    X(U64, "samples_max", samples_max, 1, (uint64_t)1 << 34)                                                           \
    X(SCHEDULE, "schedule", rule.schedule, 0, 0)                                                                       \
    X(SCHEME, "scheme", scheme, 0, 0)                                                                                  \
    X(U32, "security", security_bits, 128, 256)                                                                        \
    X(U64, "seed", seed, 0, (uint64_t)1 << 53)                                                                         \
    X(F64, "server_learning_rate", server_learning_rate, 1e-12, 100)                                                   \
    X(U32, "target_cohort", target_cohort, 0, MSFL_CLIENTS_MAX)                                                        \
    X(FLAG, "test", test, 0, 1)                                                                                        \
    X(F64, "test_fraction", test_fraction, 0, 0.9)                                                                     \
    X(F64, "validation_fraction", validation_fraction, 0, 0.9)                                                         \
    X(F32, "weight_decay", train.weight_decay, 0, 1)

#endif
