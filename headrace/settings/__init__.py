"""Every setting of the platform, with its meaning, its unit and its default.

Order, later wins: the defaults below (profile `local`), `infra/profiles/<profile>.toml`, `headrace.toml` in the working
folder (or the file that `HEADRACE_CONFIG` names), environment variables such as `HEADRACE_KAFKA__BOOTSTRAP_SERVERS`.
The commented reference file `docs/settings.toml` is generated from these classes.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from headrace.errors import BadInputError
from headrace.settings.engines import (
    AirflowSettings,
    FeastSettings,
    FlinkSettings,
    KafkaSettings,
    MlflowSettings,
    ServingSettings,
    SparkSettings,
    StoreSettings,
)
from headrace.settings.jobs import (
    CleanSettings,
    FeatureSettings,
    GateSettings,
    MaintenanceSettings,
    QualitySettings,
    TrainingSettings,
)
from headrace.settings.validation import REFERENCE, problem, refuse_unknown_variables

PROJECT_ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT_PREFIX = "HEADRACE_"


class Settings(BaseSettings):
    """All settings. `Settings()` reads them; `load_settings()` does so once and reports mistakes in one sentence."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        use_attribute_docstrings=True,
    )

    profile: Literal["local", "cluster"] = "local"
    """Where the platform runs; names the file in `infra/profiles/` that is read over the defaults."""
    home: Path = Path("var")
    """Folder of everything that runs here: data, logs, process ids, releases, checkpoints."""
    lake: str = ""
    """Root of the Delta tables; empty means `<home>/lake`. A path, or `s3a://…` on a cluster."""
    jars: Path = Path(".tools/jars")
    """Folder with the jars that no wheel brings, one subfolder an engine; a relative one counts from the project's."""
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    mlflow: MlflowSettings = Field(default_factory=MlflowSettings)
    feast: FeastSettings = Field(default_factory=FeastSettings)
    spark: SparkSettings = Field(default_factory=SparkSettings)
    flink: FlinkSettings = Field(default_factory=FlinkSettings)
    airflow: AirflowSettings = Field(default_factory=AirflowSettings)
    clean: CleanSettings = Field(default_factory=CleanSettings)
    features: FeatureSettings = Field(default_factory=FeatureSettings)
    quality: QualitySettings = Field(default_factory=QualitySettings)
    maintenance: MaintenanceSettings = Field(default_factory=MaintenanceSettings)
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    gate: GateSettings = Field(default_factory=GateSettings)
    serving: ServingSettings = Field(default_factory=ServingSettings)

    @field_validator("jars")
    @classmethod
    def _below_the_project(cls, folder: Path) -> Path:
        return PROJECT_ROOT / folder.expanduser()

    @property
    def home_folder(self) -> Path:
        """`home`, absolute: relative paths count from the working folder."""
        return self.home.expanduser().resolve()

    @property
    def lake_root(self) -> str:
        """Root of the Delta tables, without a trailing slash."""
        return (self.lake or str(self.home_folder / "lake")).rstrip("/")

    @property
    def feast_registry(self) -> str:
        """SQLAlchemy address of the feature store's registry."""
        return self.feast.registry or f"sqlite:///{self.home_folder}/feast/registry.sqlite"

    @property
    def releases(self) -> Path:
        """Folder of the release bundles kept on this machine, one subfolder a release id."""
        return self.home_folder / "releases"

    @property
    def reports(self) -> Path:
        """Folder of report pages and of the metrics that jobs leave for a collector."""
        return self.home_folder / "reports"

    @property
    def backtests(self) -> Path:
        """Folder of the backtest bundles, one subfolder a release id (`models.release.backtest`)."""
        return self.home_folder / "backtests"

    @property
    def training_folder(self) -> Path:
        """Folder of intermediate training files, one subfolder a day."""
        return self.home_folder / "training"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, environment, the user's file, the profile's file: earlier wins."""
        own = Path(os.environ.get("HEADRACE_CONFIG", "headrace.toml"))
        own_file = TomlConfigSettingsSource(settings_cls, own)
        profile = os.environ.get("HEADRACE_PROFILE") or own_file().get("profile", "local")
        profile_file = PROJECT_ROOT / "infra" / "profiles" / f"{profile}.toml"
        return init_settings, env_settings, own_file, TomlConfigSettingsSource(settings_cls, profile_file)

    def as_environment(self) -> dict[str, str]:
        """These settings as environment variables, for child processes: `Settings()` there gives the same values.

        Folders are absolute, so that a child in another working folder finds the same ones.
        """
        values = self.model_dump(mode="json")
        values["home"] = str(self.home_folder)
        return dict(_flatten(values, ENVIRONMENT_PREFIX))


def _flatten(values: dict[str, Any], prefix: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            pairs += _flatten(value, f"{prefix}{name.upper()}__")
        else:
            pairs.append((prefix + name.upper(), str(value)))
    return pairs


@lru_cache(maxsize=1)
def load_settings() -> Settings:
    """The settings of this process, read once.

    Raises BadInputError naming the setting, what is wrong with it and what was expected.
    """
    refuse_unknown_variables(Settings, ENVIRONMENT_PREFIX)
    own = os.environ.get("HEADRACE_CONFIG")
    if own and not Path(own).is_file():
        raise BadInputError(f"HEADRACE_CONFIG names {own}, which is not a file", "Name a TOML file or unset it")
    try:
        return Settings()
    except ValidationError as error:
        raise BadInputError(problem(error, Settings), REFERENCE) from None
    except SettingsError as error:
        raise BadInputError(f"{error}", REFERENCE) from None
    except TOMLDecodeError as error:
        raise BadInputError(f"{own or 'headrace.toml'} is not valid TOML: {error}", REFERENCE) from None
