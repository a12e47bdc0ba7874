# Errors clustered by seed and by sentence: Rscript clustered.R FOLDER
#
# FOLDER: runs.csv (seed, dataset), design.csv [runs, parameters], values.csv [runs, sentences; as many in each data set],
# weights.csv [contrasts, parameters]. Writes found.csv: quantity, number, value.
suppressPackageStartupMessages({ library(sandwich); library(clubSandwich) })

folder <- commandArgs(trailingOnly = TRUE)[1]
matrix_of <- function(name) unname(as.matrix(read.csv(file.path(folder, name), header = FALSE)))
runs <- read.csv(file.path(folder, "runs.csv"))
X <- matrix_of("design.csv")
Z <- matrix_of("values.csv")
W <- matrix_of("weights.csv")

rows <- function(quantity, values) {
  data.frame(quantity = quantity, number = seq_along(values) - 1, value = sprintf("%.15g", values))
}
variances <- function(cov) diag(W %*% cov %*% t(W))

cr2 <- function(y) {
  fit <- lm(y ~ 0 + X)
  list(fit = fit, cov = vcovCR(fit, cluster = runs$seed, type = "CR2"))
}
by_seed <- cr2(rowMeans(Z))
tested <- linear_contrast(by_seed$fit, by_seed$cov, W, test = "Satterthwaite", p_values = TRUE)
joint <- Wald_test(by_seed$fit, constraints = W[1:2, ], vcov = by_seed$cov, test = "HTZ")

# One contrast of each sentence about its mean over sentences, in a study of one data set.
centred <- Z - rowMeans(Z)
both <- rowMeans(sapply(seq_len(ncol(Z)), function(s) variances(as.matrix(cr2(centred[, s])$cov)))) / (ncol(Z) - 1)

long <- data.frame(
  z = as.vector(Z), run = rep(seq_len(nrow(Z)), ncol(Z)), seed = rep(runs$seed, ncol(Z)),
  sentence = paste(rep(runs$dataset, ncol(Z)), rep(seq_len(ncol(Z)), each = nrow(Z)))
)
Xl <- X[long$run, ]
fit <- lm(z ~ 0 + Xl, long)
plain <- function(clusters) variances(vcovCL(fit, cluster = clusters, type = "HC0", cadjust = FALSE, multi0 = FALSE))

write.csv(rbind(
  rows("estimate", tested$Est), rows("seed", tested$SE^2), rows("seed_df", tested$df), rows("p", tested$p_val),
  rows("htz", c(joint$Fstat, joint$df_denom, joint$p_val)), rows("both", both),
  rows("plain_seed", plain(~seed)), rows("plain_sentence", plain(~sentence)),
  rows("plain_two_way", plain(~ seed + sentence))
), file.path(folder, "found.csv"), row.names = FALSE, quote = FALSE)
