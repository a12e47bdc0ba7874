"""A study's tables, read back."""

import pandas as pd

from finevar.results.study_tables import as_table, read_analysis, write_tables


def test_a_table_is_read_for_each_responses_widest_population(tmp_path):
    wide, narrow = "new seeds and new sentences", "these sentences"
    rows = [{"response": "loss", "population": name, "term": term} for name in (wide, narrow) for term in "ab"]
    rows += [{"response": "f1", "population": narrow, "term": "a"}, {"response": "gain", "term": "a"}]
    write_tables({"coefficients": rows}, [str(tmp_path / "coefficients.parquet")])
    found = read_analysis(tmp_path / "coefficients.parquet")
    kept = found[["response", "population"]].astype(object).where(found[["response", "population"]].notna(), None)
    assert kept.to_numpy().tolist() == [["loss", wide], ["loss", wide], ["f1", narrow], ["gain", None]]


def test_a_table_without_populations_is_read_whole(tmp_path):
    write_tables({"covariances": [{"response": "loss", "term": "a"}]}, [str(tmp_path / "covariances.parquet")])
    read = read_analysis(tmp_path / "covariances.parquet")
    pd.testing.assert_frame_equal(read, as_table("covariances", [{"response": "loss", "term": "a"}]).to_pandas())
