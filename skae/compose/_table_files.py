"""What fitted models of tables are like in a file: kinds of columns, dtypes of frames, and entries of any sort.

Neither pandas nor polars is imported before a file has a table of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np

from ..base.damage import DamageError, Saved, fault_of_numbers
from ..base.transformer import TorchTransformer
from ._cells import Sheet
from ._marginals import NormalScores
from ._schema import CHOICE, STEPS, Schema, Variable
from ._texts import Texts

__all__ = ["TABLE"]

POLARS = {
    **dict.fromkeys(("Int8", "Int16", "Int32", "Int64", "Int128", "UInt8", "UInt16", "UInt32", "UInt64"), ()),
    **dict.fromkeys(("Float32", "Float64", "Boolean", "String", "Date", "Time", "Categorical", "Object"), ()),
    "Datetime": ("time_unit", "time_zone"),
    "Duration": ("time_unit",),
    "Decimal": ("precision", "scale"),
    "Enum": ("categories",),
}
"""Dtypes of polars, and what they are made of."""
NAME_OF_DTYPE = re.compile(r"[\w\[\], .:+/<>-]{1,100}", re.ASCII)
"""What pandas calls its dtypes."""
TOLD = ("", "bool", "int", "float", "day", "moment", "duration", "time")
"""What columns of objects may hold. See ``Sheet``."""


# ------------------------------------------------------------------ kinds of columns


def _parts_of_schema(schema: Schema) -> tuple[Any, ...]:
    return tuple(_parts_of_variable(variable) for variable in schema.variables)


def _parts_of_variable(variable: Variable) -> dict[str, Any]:
    parts = variable._asdict()
    parts["scores"] = None if variable.scores is None else tuple(variable.scores)
    parts["texts"] = None if variable.texts is None else variable.texts.parts()
    return parts


def _schema_of(parts: tuple[Any, ...]) -> Schema:
    return Schema(tuple(_variable_of(told) for told in parts))


def _variable_of(told: Any) -> Variable:
    if not isinstance(told, dict) or told.keys() != {*Variable._fields}:
        raise DamageError("_schema does not describe its columns")
    variable: Any = Variable(**told)
    right = (
        variable.sort in [*STEPS]
        and variable.kind in CHOICE
        and all(isinstance(values, tuple) for values in (variable.levels, variable.rare, variable.limits))
        and len(variable.limits) == 2
        and isinstance(variable.step, float)
        and (variable.kind == "categorical") == bool(variable.levels)
        and (variable.kind == "text") == (variable.texts is not None)
        and (variable.kind == "categorical" or not variable.rare)
    )
    if not right:
        raise DamageError("_schema has a column of no kind")
    made: Variable = variable._replace(
        scores=None if variable.scores is None else _scores_of(variable.scores),
        texts=None if variable.texts is None else Texts.of_parts(*variable.texts),
        limits=tuple(map(float, variable.limits)),
        rare_shares=_shares_of(variable),
    )
    return made


def _scores_of(parts: Any) -> NormalScores:
    scores = NormalScores(*parts)
    for x, y in ((scores.values, scores.middle), (scores.shares, scores.inverse)):
        found = fault_of_numbers(x, (None,), np.float64) or fault_of_numbers(y, x.shape, np.float64)
        if found or not len(x) or (np.diff(x) < 0).any():
            raise DamageError(f"_schema has a map of numbers that {found or 'does not rise'}")
    if scores.middle.min() <= 0 or scores.middle.max() >= 1:
        raise DamageError("_schema has a map of numbers to shares beyond 0 and 1")
    return scores


def _shares_of(variable: Variable) -> np.ndarray | None:
    """Shares of the rare categories, which sum to 1."""
    shares = variable.rare_shares
    if shares is None and not variable.rare:
        return None
    found = fault_of_numbers(shares, (len(variable.rare),), np.float64)
    if found or shares is None or (shares < 0).any() or abs(shares.sum() - 1.0) > 1e-6:
        raise DamageError(f"_schema has shares of rare categories that {found or 'do not sum to 1'}")
    return shares


def _fault_of_schema(table: Any, schema: Schema) -> str | None:
    if len(schema.variables) != table.n_features_in_:
        return "has another number of columns"
    try:
        distinct = all(len({*v.levels, *v.rare}) == len(v.levels) + len(v.rare) for v in schema.variables)
        distinct = distinct and len({v.name for v in schema.variables}) == len(schema.variables)
    except TypeError:
        return "has a name or a category that is none"
    return None if distinct else "has a name or a category twice"


def _fault_of_model(table: Any, model: Any) -> str | None:
    if not isinstance(model, TorchTransformer) or "_flat" not in vars(model):
        return f"is a {type(model).__name__} that is not fitted"
    return None


# ------------------------------------------------------------------ frames


class _NamelessError(Exception):
    """A dtype that its name does not tell."""


def _parts_of_sheet(sheet: Sheet) -> tuple[Any, ...]:
    return sheet.library, _parts_of_template(sheet), sheet.objects


def _parts_of_template(sheet: Sheet) -> Any:
    """Names and dtypes of the columns, or the frame itself if it has dtypes without a name. Pickles can hold it."""
    if sheet.library == "numpy":
        return bool(sheet.template)
    try:
        if sheet.library == "polars":
            return {name: _told_of_polars(dtype) for name, dtype in sheet.template.schema.items()}
        names = sheet.template.columns
        return list(names), list(names.names), [_told_of_pandas(dtype) for dtype in sheet.template.dtypes]
    except _NamelessError:
        return sheet.template


def _sheet_of(parts: tuple[Any, ...]) -> Sheet:
    library, template, objects = parts
    if library not in ("numpy", "pandas", "polars") or not isinstance(objects, tuple):
        raise DamageError("_sheet is of no library")
    if not all(told in TOLD for told in objects):
        raise DamageError("_sheet has columns of no sort")
    if library == "numpy":
        return Sheet(library, bool(template), objects)
    if isinstance(template, (dict, tuple)):
        template = _frame_of_polars(template) if library == "polars" else _frame_of_pandas(*template)
    return Sheet(library, template, objects)


def _fault_of_sheet(table: Any, sheet: Sheet) -> str | None:
    """Write a row, which needs all that the sheet, the schema and the autoencoder have to agree in."""
    schema, inside = table._schema, table.estimator_
    width = sum(size for _, size in schema.columns)
    if len(sheet.objects) != table.n_features_in_ or len(inside._frame) != width:
        return "does not fit to the rest"
    if inside._spec.get("columns") is not None and not _same_columns(inside._spec["columns"], schema.columns):
        return "does not fit to the columns of the autoencoder"
    sheet.written(schema.decoded(np.full((1, width), 0.5), 0, drawn=True))
    return None


def _same_columns(one: Any, other: Any) -> bool:
    return [tuple(pair) for pair in one] == [tuple(pair) for pair in other]


def _told_of_pandas(dtype: Any) -> Any:
    """The name of a dtype of pandas, or what its categories are."""
    if hasattr(dtype, "categories"):
        categories = dtype.categories
        return list(categories), _told_of_pandas(categories.dtype), bool(dtype.ordered)
    named = import_module("pandas").api.types.pandas_dtype
    for name in (str(dtype), f"{dtype}[{getattr(dtype, 'storage', '')}]"):
        try:
            if named(name) == dtype and NAME_OF_DTYPE.fullmatch(name):
                return name
        except (TypeError, ValueError):
            continue
    raise _NamelessError


def _dtype_of_pandas(told: Any) -> Any:
    pandas = import_module("pandas")
    if isinstance(told, tuple):
        categories, inner, ordered = told
        return pandas.CategoricalDtype(pandas.Index(categories, dtype=_dtype_of_pandas(inner)), bool(ordered))
    if not isinstance(told, str) or not NAME_OF_DTYPE.fullmatch(told):
        raise DamageError("_sheet has a column of no dtype")
    return pandas.api.types.pandas_dtype(told)


def _frame_of_pandas(names: Any, levels: Any, dtypes: Any) -> Any:
    """A frame without rows."""
    pandas = import_module("pandas")
    columns = {i: pandas.Series([], dtype=_dtype_of_pandas(told)) for i, told in enumerate(dtypes)}
    frame = pandas.DataFrame(columns)
    frame.columns = (
        pandas.Index(names, name=levels[0]) if len(levels) == 1 else pandas.MultiIndex.from_tuples(names, names=levels)
    )
    return frame


def _told_of_polars(dtype: Any) -> tuple[str, dict[str, Any]]:
    name = str(dtype).partition("(")[0]
    if name not in POLARS:
        raise _NamelessError
    told = {key: getattr(dtype, key) for key in POLARS[name]}
    return name, {key: value.to_list() if hasattr(value, "to_list") else value for key, value in told.items()}


def _frame_of_polars(columns: Any) -> Any:
    """A frame without rows."""
    polars, schema = import_module("polars"), {}
    for column, (name, arguments) in columns.items():
        if name not in POLARS or not isinstance(arguments, Mapping) or {*arguments} != {*POLARS[name]}:
            raise DamageError("_sheet has a column of no dtype")
        dtype = getattr(polars, name)
        schema[column] = dtype(**arguments) if arguments else dtype
    return polars.DataFrame(schema=schema)


TABLE = {
    "_schema": Saved(_fault_of_schema, cls=Schema, parts=_parts_of_schema, whole=_schema_of),
    "estimator_": Saved(_fault_of_model),
    "_sheet": Saved(_fault_of_sheet, cls=Sheet, parts=_parts_of_sheet, whole=_sheet_of),
}
